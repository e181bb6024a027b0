// The processes that train one model together, as the trainer sees them.
import { codeOf, SrpoError } from "../native/error.js";
import type { Communicator } from "../ranks/communicator.js";
import { soloCommunicator } from "../ranks/solo.js";
import { gatherValues } from "../ranks/gather.js";
import type { Device } from "../tensor/device.js";

/** How an action ended on a rank. */
type Outcome<T> = { value: T } | { failed: { code: string; message: string } };

async function outcomeOf<T>(
  action: () => Promise<T>,
): Promise<{ told: Outcome<T>; own?: unknown }> {
  try {
    return { told: { value: await action() } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { told: { failed: { code: codeOf(error) ?? "ERR_CONFIG", message } }, own: error };
  }
}

/** Every method but `of` is to be called by all ranks, in the same order. */
export class Ranks {
  private constructor(
    readonly communicator: Communicator,
    /** Where values that go between ranks lie. */
    readonly device: Device,
  ) {}

  static of(communicator: Communicator, device: Device): Ranks {
    return new Ranks(communicator, device);
  }

  /** One process that trains alone. */
  static solo(): Ranks {
    return new Ranks(soloCommunicator(), "cpu");
  }

  get rank(): number {
    return this.communicator.rank;
  }
  get size(): number {
    return this.communicator.size;
  }
  /** The rank that writes what a run has once: metrics, samples, reports. */
  get isFirst(): boolean {
    return this.rank === 0;
  }

  /** The part of an update's prompts that this rank takes: as even as it goes, in order. */
  samplesOf(batch: number): number[] {
    const at = (rank: number) => Math.floor((rank * batch) / this.size);
    const first = at(this.rank);
    return Array.from({ length: at(this.rank + 1) - first }, (_, i) => first + i);
  }

  /** The most that a rank takes of them. */
  mostSamples(batch: number): number {
    return Math.ceil(batch / this.size);
  }

  /** Every rank's value, in the order of the ranks. */
  gather<T>(mine: T): Promise<T[]> {
    return gatherValues(this.communicator, this.device, mine);
  }

  /** Whether it is so on any rank. */
  async any(mine: boolean): Promise<boolean> {
    return (await this.gather(mine)).includes(true);
  }

  /**
   * What the action came to on each rank; if it failed on one, it has failed on all.
   *
   * @throws SrpoError the first one's, with its rank where it is another's
   */
  async all<T>(action: () => Promise<T>): Promise<T[]> {
    if (this.size === 1) return [await action()];
    const { told, own } = await outcomeOf(action);
    const outcomes = await this.gather(told);
    return outcomes.map((outcome, rank) => {
      if ("value" in outcome) return outcome.value;
      const { code, message } = outcome.failed;
      throw rank === this.rank ? own : new SrpoError(code, `rank ${rank}: ${message}`);
    });
  }

  /** What the action comes to on the first rank, which alone takes it. */
  async first<T>(action: () => Promise<T>): Promise<T> {
    const all = await this.all(async () => (this.isFirst ? await action() : undefined));
    return all[0] as T;
  }
}
