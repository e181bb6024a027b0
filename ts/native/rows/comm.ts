import type { Handle } from "../handle.js";

declare const commBrand: unique symbol;
/** A communicator as the addon knows it. */
export interface CommHandle {
  readonly [commBrand]: true;
}

declare const pendingBrand: unique symbol;
/** A collective beside the device's own work, until it is waited for. */
export interface PendingHandle {
  readonly [pendingBrand]: true;
}

/** How far a rank's collectives are. */
export interface CommProgress {
  readonly submitted: number;
  readonly started: number;
  readonly ended: number;
  /** Of the one that started last. */
  readonly name: string;
  readonly bytes: number;
  /** In those that have ended. */
  readonly seconds: number;
  /** For how many seconds the one that has not ended runs. */
  readonly running: number;
  /** An error behind a call that had returned. */
  readonly failure: string | null;
}

/** What cpp/binding/comm.cpp registers. */
export interface CommRows {
  /** Opens the MPI library at `path` and begins MPI. */
  mpiBegin(path: string): [rank: number, size: number];
  mpiVersion(path: string): string;
  /** Root's bytes to all, at once, before anything is enqueued. */
  mpiShare(bytes: Uint8Array, root: number): void;
  commOpenMpi(path: string, device: string): CommHandle;
  /** Opens libnccl at `path`, or where the loader finds it if that is empty. */
  ncclVersion(path: string): string;
  ncclId(path: string): Uint8Array;
  commOpenNccl(
    path: string,
    device: string,
    rank: number,
    size: number,
    id: Uint8Array,
  ): Promise<CommHandle>;
  commAllReduce(communicator: CommHandle, t: Handle, max: boolean): void;
  commReduceScatter(communicator: CommHandle, input: Handle, output: Handle): void;
  commAllGather(communicator: CommHandle, input: Handle, output: Handle): void;
  /** The same beside the device's own work; the tensors may go before it has ended. */
  commReduceScatterAside(communicator: CommHandle, input: Handle, output: Handle): PendingHandle;
  commAllGatherAside(communicator: CommHandle, input: Handle, output: Handle): PendingHandle;
  /** What is enqueued from here on comes after it; once. */
  commWait(pending: PendingHandle): void;
  commBroadcast(communicator: CommHandle, t: Handle, root: number): void;
  commBarrier(communicator: CommHandle): Promise<void>;
  commProgress(communicator: CommHandle): CommProgress;
  commClose(communicator: CommHandle): void;
  /** Keeps a connection alive, and ends it when nothing was acknowledged for so long. */
  tcpCutOff(descriptor: number, ms: number): boolean;
  /** Ends the process, whatever the devices' threads are waiting for. */
  leaveAtOnce(code: number): never;
}
