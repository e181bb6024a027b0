import { SrpoError } from "../native/error.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Communicator, CommunicatorStats, Pending } from "./communicator.js";

function requireOneRank(op: string, argument: string, whole: Tensor, part: Tensor): void {
  if (whole.size !== part.size)
    throw new SrpoError(
      "ERR_SHAPE",
      `${op}: ${argument}: expected 1 * ${part.size} elements, got ${whole.size}`,
    );
}

/** What stands in the device's own order already. */
const ended: Pending = { wait: () => {} };

/** One rank alone: sums are the values themselves, the rest are copies. */
class SoloCommunicator implements Communicator {
  readonly rank = 0;
  readonly size = 1;
  #collectives = 0;

  allReduce(): void {
    ++this.#collectives;
  }
  reduceScatter(input: Tensor, output: Tensor): void {
    requireOneRank("reduceScatter", "input", input, output);
    this.#copy(input, output);
  }
  allGather(input: Tensor, output: Tensor): void {
    requireOneRank("allGather", "output", output, input);
    this.#copy(input, output);
  }
  reduceScatterAside(input: Tensor, output: Tensor): Pending {
    this.reduceScatter(input, output);
    return ended;
  }
  allGatherAside(input: Tensor, output: Tensor): Pending {
    this.allGather(input, output);
    return ended;
  }
  broadcast(_: Tensor, root: number): void {
    if (root !== 0) throw new RangeError(`broadcast: root: expected 0 to 0, got ${root}`);
    ++this.#collectives;
  }
  async barrier(): Promise<void> {
    ++this.#collectives;
  }
  atStep(): void {}
  stats(): CommunicatorStats {
    return { collectives: this.#collectives, bytes: 0, seconds: 0 };
  }
  async dispose(): Promise<void> {}

  /** A part that is the whole itself may be given as both. */
  #copy(input: Tensor, output: Tensor): void {
    ++this.#collectives;
    output.viewOf(0, [output.size]).copyFrom(input.viewOf(0, [input.size]));
  }
}

/** The communicator of a run with one rank: it communicates nothing. */
export function soloCommunicator(): Communicator {
  return new SoloCommunicator();
}
