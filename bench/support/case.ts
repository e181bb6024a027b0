/** One call of a case. It enqueues its work; who times it waits for the device. */
export type Call = (() => void | Promise<void>) & {
  /** Frees what no scope does. */
  dispose?: () => void;
};

/** One line of a bench: ours, and what an opponent is asked to do beside it. */
export interface BenchCase {
  /** The op's name, then dtype, shape and direction: "linear  float32  M=1024 N=1024 K=1024  forward". */
  name: string;
  /** Why this shape. */
  why: string;
  /** Makes the inputs and returns one call. Called in a scope of its own. */
  setUp: () => Call | Promise<Call>;
  /** Floating-point operations of a call, for GFLOP/s. */
  flops?: number;
  /** Bytes that any implementation must move, for GB/s. */
  bytes?: number;
  /** What bench/support/torch_opponent.py sets up for the same work. */
  torch?: { op: string; [key: string]: unknown };
  /** Left out of the short run. */
  full?: boolean;
  /** Bytes that it needs at once: it is left out, and said to be, where the device has fewer. */
  memory?: number;
  /** A call is a model or more: some of them are timed as one stretch, by the clock on the wall. */
  stretch?: boolean;
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
  microseconds?: { median: number; minimum: number };
  gflops?: number;
  gigabytesPerSecond?: number;
  /** Of the limit that was measured in the same run: the best product for operations, a copy for bytes. */
  share?: number;
  /** A copy of the same tensor, by all ranks at once; its share: what must be sent a second, over what is copied. */
  copy?: { microseconds: number; ratio: number };
  /** The opponent's time over ours, by round's median; above 1 ours is faster. */
  torch?: {
    /** What it was: "eager", "compiled", "cudnn". */
    variant?: string;
    microseconds: number;
    ratio: number;
    ratioOfMinima: number;
  };
  /** Why there is no time. */
  skipped?: string;
  error?: string;
}
