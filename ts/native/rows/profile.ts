/** When each piece of a device's work ran, and what a GPU's own clock says of its kernels. */
export interface TakenProfile {
  readonly timer: string;
  /** Seconds of process.hrtime at the beginning; the times are microseconds from there. */
  readonly origin: number;
  /** Names of ops, and for each piece its op's place among them; NaN for a piece that has not run. */
  readonly ops: readonly string[];
  readonly op: Int32Array;
  readonly begin: Float64Array;
  readonly end: Float64Array;
  readonly kernels: readonly {
    readonly name: string;
    /** The piece that launched it, -1 if that is not known. */
    readonly piece: number;
    readonly begin: number;
    readonly end: number;
    readonly grid: readonly number[];
    readonly block: readonly number[];
    /** A thread. */
    readonly registers: number;
    /** A block. */
    readonly sharedBytes: number;
    /** Copied, of a copy. */
    readonly bytes: number;
  }[];
}

/** What cpp/binding/profile.cpp registers. */
export interface ProfileRows {
  /** From now on the times of what is submitted to the device are taken; while it is idle. */
  profileBegin(device: string, timer: string): void;
  /** Pieces of work submitted since. */
  profileSize(device: string): number;
  profileEnd(device: string): TakenProfile;
  /** A stage, for tools that watch a GPU from outside. */
  rangePush(device: string, name: string): void;
  rangePop(device: string): void;
}
