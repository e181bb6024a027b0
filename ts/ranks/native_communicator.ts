import { native, type CommHandle, type CommProgress } from "../native/binding.js";
import { synchronize, type Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Communicator, CommunicatorStats } from "./communicator.js";

/** What an engine of the addon does, over NCCL or MPI. */
export class NativeCommunicator implements Communicator {
  #handle: CommHandle;
  #device: Device;
  #closed = false;
  #leave: () => Promise<void>;
  /** Updates done, as `atStep` was told. */
  step = 0;

  /** @param leave - what else goes when it is disposed of, after the last collective */
  constructor(
    handle: CommHandle,
    { rank, size }: { rank: number; size: number },
    device: Device,
    leave: () => Promise<void>,
  ) {
    this.#handle = handle;
    this.rank = rank;
    this.size = size;
    this.#device = device;
    this.#leave = leave;
    process.on("exit", this.#onExit);
  }

  readonly rank: number;
  readonly size: number;

  // A rank that fails leaves at once: its device's thread may wait for the others for ever, and a process
  // that leaves without a word to MPI is what makes mpirun end the others.
  readonly #onExit = (code: number): void => {
    if (code !== 0) native.leaveAtOnce(code);
  };

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
  broadcast(t: Tensor, root: number): void {
    native.commBroadcast(this.#handle, t.handle, root);
  }
  barrier(): Promise<void> {
    return native.commBarrier(this.#handle);
  }
  atStep(step: number): void {
    this.step = step;
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
    await this.#leave();
    native.commClose(this.#handle);
    process.off("exit", this.#onExit);
  }
}
