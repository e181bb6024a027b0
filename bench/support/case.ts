/** One line of a bench: ours, and what an opponent is asked to do beside it. */
export interface BenchCase {
  /** The op's name, then dtype, shape and direction: "linear  float32  M=1024 N=1024 K=1024  forward". */
  name: string;
  /** Why this shape. */
  why: string;
  /**
   * Makes the inputs and returns one call; it resolves when the device has done it. Called in a scope
   * of its own.
   */
  setUp: () => () => Promise<void>;
  /** Floating-point operations of a call, for GFLOP/s. */
  flops?: number;
  /** Bytes that any implementation must move, for GB/s. */
  bytes?: number;
  /** What bench/support/torch_opponent.py sets up for the same work. */
  torch?: { op: string; [key: string]: unknown };
  /** Left out of the short run. */
  full?: boolean;
}

export interface BenchOptions {
  /** Only cases whose name includes this. */
  filter: string;
  /** Every case, the long ones too. */
  full: boolean;
  /** Rounds in which ours and the opponent's take turns. */
  rounds: number;
  /** Of one round of one side. */
  roundMs: number;
}

export interface BenchResult {
  name: string;
  why: string;
  /** Of a call: the median over rounds and the least. */
  microseconds: { median: number; minimum: number };
  gflops?: number;
  gigabytesPerSecond?: number;
  /** A copy of the same tensor, by all ranks at once; its share: what must be sent a second, over what is copied. */
  copy?: { microseconds: number; ratio: number };
  /** The opponent's time over ours, by round's median; above 1 ours is faster. */
  torch?: { microseconds: number; ratio: number; ratioOfMinima: number };
}
