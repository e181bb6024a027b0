import type { Tensor } from "../tensor/tensor.js";

export interface CommunicatorStats {
  /** Collectives enqueued so far. */
  readonly collectives: number;
  /** Bytes of the tensors that went through, as this rank holds them. */
  readonly bytes: number;
  /** In collectives, waiting for others included; on cuda of their launches alone. */
  readonly seconds: number;
}

/** A collective beside the device's own work. */
export interface Pending {
  /** What is enqueued from here on comes after it. Once; later calls do nothing. */
  wait(): void;
}

/**
 * Collectives between the ranks of a job. Each is enqueued behind the work of its tensor's stream and returns
 * at once, like an op; what fails shows at the next wait. All ranks make the same calls in the same order.
 *
 * A sum has the same bits on every rank. It runs in float32 for float32 and bfloat16, rounded once at the end;
 * over MPI it adds in the order of the ranks, so that `allReduce` and `reduceScatter` agree bit for bit and
 * nothing depends on how messages are cut; over NCCL the order is NCCL's.
 */
export interface Communicator {
  readonly rank: number;
  readonly size: number;
  /** In place, over all ranks: float32, bfloat16 or int32. Default sum; max keeps NaN. */
  allReduce(t: Tensor, op?: "sum" | "max"): void;
  /** input [size * n] -> output [n], this rank's part of the sum; output may be input's own part. */
  reduceScatter(input: Tensor, output: Tensor): void;
  /** input [n] -> output [size * n]; input may be output's own part. Any dtype. */
  allGather(input: Tensor, output: Tensor): void;
  /**
   * As `reduceScatter`, beside the device's own work: begins when what is enqueued so far has ended. Until `wait`
   * nothing may write `input` or use `output`. Both may be disposed before.
   */
  reduceScatterAside(input: Tensor, output: Tensor): Pending;
  /** As `allGather`, beside the device's own work. */
  allGatherAside(input: Tensor, output: Tensor): Pending;
  /** Root's values to all. Any dtype. */
  broadcast(t: Tensor, root: number): void;
  /** Resolves when every rank has come, and all work enqueued here before has ended. */
  barrier(): Promise<void>;
  /** The step that this rank is at, for what is said when a rank is lost. */
  atStep(step: number): void;
  stats(): CommunicatorStats;
  /** Leaves in good order: every rank disposes. Without it the others take this rank for lost. */
  dispose(): Promise<void>;
}
