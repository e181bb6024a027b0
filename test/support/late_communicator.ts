// Collectives beside the device's work that arrive as late as they may, for whoever reads too early.
import type { Communicator, Pending } from "../../ts/ranks/communicator.js";
import { release } from "../../ts/tensor/scope.js";
import { tensorFromBytes, type Tensor } from "../../ts/tensor/tensor.js";

/** What everything is until it has been waited for: no number, in float32 and in bfloat16. */
function poison(t: Tensor): void {
  const { shape, dtype, device } = t;
  const bytes = new Uint8Array(t.size * (dtype === "float32" ? 4 : 2)).fill(0xff);
  const nothing = release(tensorFromBytes(bytes, shape, { dtype, device }));
  t.copyFrom(nothing);
  nothing.dispose();
}

/**
 * The same communicator, but that what goes aside begins when it is waited for. Ranks that wait in different
 * orders would hang, so that this tests their order too.
 */
export function lateCommunicator(of: Communicator): Communicator {
  const later = (act: () => void): Pending => {
    let waiting = true;
    return {
      wait() {
        if (waiting) act();
        waiting = false;
      },
    };
  };
  const own = (t: Tensor) => release(t.viewOf(0, t.shape));
  return {
    rank: of.rank,
    size: of.size,
    allReduce: (t, op) => of.allReduce(t, op),
    reduceScatter: (input, output) => of.reduceScatter(input, output),
    allGather: (input, output) => of.allGather(input, output),
    broadcast: (t, root) => of.broadcast(t, root),
    barrier: () => of.barrier(),
    atStep: (step) => of.atStep(step),
    stats: () => of.stats(),
    dispose: () => of.dispose(),
    reduceScatterAside(input, output) {
      const [from, to] = [own(input), own(output)];
      poison(to);
      return later(() => {
        of.reduceScatter(from, to);
        from.dispose();
        to.dispose();
      });
    },
    allGatherAside(input, output) {
      const [from, to] = [own(input), own(output)];
      for (let r = 0; r < of.size; ++r)
        if (r !== of.rank) poison(to.viewOf(r * from.size, [from.size]));
      return later(() => {
        of.allGather(from, to);
        from.dispose();
        to.dispose();
      });
    },
  };
}
