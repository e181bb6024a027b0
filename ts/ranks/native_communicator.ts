import { writeSync } from "node:fs";
import {
  native,
  type CommHandle,
  type CommProgress,
  type PendingHandle,
} from "../native/binding.js";
import { synchronize, type Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Communicator, CommunicatorStats, Pending } from "./communicator.js";
import type { Watch, Where } from "./watch.js";

const pending = (handle: PendingHandle): Pending => ({ wait: () => native.commWait(handle) });

/** What an engine of the addon does, over NCCL or MPI. */
export class NativeCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  #handle: CommHandle;
  #device: Device;
  #watch: Watch;
  #closed = false;
  #gone = false;
  #step = 0;

  /** @param watch - who is told where this rank is, and when it leaves */
  constructor(
    handle: CommHandle,
    { rank, size }: { rank: number; size: number },
    device: Device,
    watch: Watch,
  ) {
    this.rank = rank;
    this.size = size;
    this.#handle = handle;
    this.#device = device;
    this.#watch = watch;
    process.on("exit", this.#onExit);
    process.on("uncaughtExceptionMonitor", this.#onError);
  }

  // Node would say it after the others have left.
  readonly #onError = (error: Error): void => {
    writeSync(2, `${error?.stack ?? String(error)}\n`);
  };

  // A rank that fails leaves at once: its device's thread may wait for the others for ever, and a process
  // that leaves without a word to MPI is what makes mpirun end the others.
  readonly #onExit = (code: number): void => {
    if (code === 0) return;
    this.#watch.failed(code);
    native.leaveAtOnce(code);
  };

  /** For what is said when a rank is lost. */
  get where(): Where {
    const step = this.#step;
    if (this.#gone) return { step, collective: "", count: 0, seconds: 0 };
    const { started, ended, name, running } = this.progress;
    return { step, collective: started > ended ? name : "", count: started, seconds: running };
  }

  /** What failed behind a call that had returned. */
  get failure(): string | undefined {
    return this.#gone ? undefined : (this.progress.failure ?? undefined);
  }

  get progress(): CommProgress {
    return native.commProgress(this.#handle);
  }

  allReduce(t: Tensor, op: "sum" | "max" = "sum"): void {
    native.commAllReduce(this.#handle, t.handle, op === "max");
  }
  reduceScatter(input: Tensor, output: Tensor): void {
    native.commReduceScatter(this.#handle, input.handle, output.handle);
  }
  allGather(input: Tensor, output: Tensor): void {
    native.commAllGather(this.#handle, input.handle, output.handle);
  }
  reduceScatterAside(input: Tensor, output: Tensor): Pending {
    return pending(native.commReduceScatterAside(this.#handle, input.handle, output.handle));
  }
  allGatherAside(input: Tensor, output: Tensor): Pending {
    return pending(native.commAllGatherAside(this.#handle, input.handle, output.handle));
  }
  broadcast(t: Tensor, root: number): void {
    native.commBroadcast(this.#handle, t.handle, root);
  }
  barrier(): Promise<void> {
    return native.commBarrier(this.#handle);
  }
  atStep(step: number): void {
    this.#step = step;
    this.#watch.moved();
  }
  stats(): CommunicatorStats {
    const { submitted, bytes, seconds } = this.progress;
    return { collectives: submitted, bytes, seconds };
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await synchronize(this.#device);
    await this.barrier();
    await this.#watch.leave();
    this.#gone = true;
    native.commClose(this.#handle);
    process.off("exit", this.#onExit);
    process.off("uncaughtExceptionMonitor", this.#onError);
  }
}
