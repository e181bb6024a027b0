// Takes a profile: when each op of a device began and ended, what it was asked for, in which stage.
import { native, type TakenProfile } from "../native/binding.js";
import { recordRanges } from "../native/ranges.js";
import { synchronize, type Device } from "../tensor/device.js";
import { Stages, type Stage } from "./stages.js";
import { workOf, type Work } from "./work.js";

/** What takes the times: on cpu and emulated the device's own clock; on cuda CUPTI, events, or nothing. */
export const timers = ["auto", "clock", "cupti", "events", "nvtx"] as const;
export type Timer = (typeof timers)[number];

/** A call of the addon, and the pieces of work that it enqueued: from the first on, before `to`. */
export interface Call extends Work {
  name: string;
  from: number;
  to: number;
}

/** What a profile took. Times are microseconds from its beginning. */
export interface Taken {
  device: Device;
  /** What told the times. */
  timer: string;
  /** From the beginning until the device had done everything. */
  wall: number;
  pieces: { op: string; begin: number; end: number }[];
  kernels: TakenProfile["kernels"];
  calls: Call[];
  /** `entered` and `left` in microseconds too. */
  stages: Stage[];
}

// Ask the profile itself, or enqueue nothing.
const silent =
  /^(?:profile|range|scope|pool|cpu|setErrorClass|has|open|op|cuda|emulated|synchronize|tensor(?:Shape|DType|Device|Dispose|Disposed|View)$)/;

type Functions = Record<string, (...args: unknown[]) => unknown>;

/** One profile at a time; `start`, the work, `stop`. */
export class Profiler {
  readonly #calls: Call[] = [];
  readonly #originals = new Map<string, (...args: unknown[]) => unknown>();
  readonly #stages: Stages;
  // Before and after the device's clock began: on a busy machine they are apart.
  #asked = 0;
  #began = 0;

  private constructor(readonly device: Device) {
    this.#stages = new Stages({
      pieces: () => native.profileSize(device),
      ...(device.startsWith("cuda")
        ? {
            pushed: (name) => native.rangePush(device, name),
            popped: () => native.rangePop(device),
          }
        : {}),
    });
  }

  /**
   * Takes the times of all that this thread enqueues on `device` from now on.
   *
   * @throws SrpoError ERR_CONFIG if one is taken already, or for a timer that the device has not
   */
  static async start(device: Device, timer: Timer = "auto"): Promise<Profiler> {
    await synchronize(device);
    const asked = performance.now();
    native.profileBegin(device, timer);
    const profiler = new Profiler(device);
    profiler.#asked = asked;
    profiler.#began = performance.now();
    profiler.#watchCalls();
    recordRanges(profiler.#stages);
    return profiler;
  }

  /** Waits for the device; what was taken. */
  async stop(): Promise<Taken> {
    recordRanges(undefined);
    this.#stages.close();
    const functions = native as unknown as Functions;
    for (const [name, original] of this.#originals) functions[name] = original;
    try {
      await synchronize(this.device);
    } catch (error) {
      native.profileEnd(this.device);
      throw error;
    }
    const wall = (performance.now() - this.#asked) * 1000;
    const { timer, ops, op, begin, end, kernels } = native.profileEnd(this.device);
    const since = (ms: number) => (ms - this.#began) * 1000;
    return {
      device: this.device,
      timer,
      wall,
      pieces: Array.from(op, (place, i) => ({ op: ops[place]!, begin: begin[i]!, end: end[i]! })),
      kernels,
      calls: this.#calls,
      stages: this.#stages.all.map((stage) => ({
        ...stage,
        entered: since(stage.entered),
        left: since(stage.left),
      })),
    };
  }

  /** Stands before every function of the addon that enqueues work, until `stop`. */
  #watchCalls(): void {
    const functions = native as unknown as Functions;
    for (const name of Object.keys(functions)) {
      const original = functions[name]!;
      if (typeof original !== "function" || silent.test(name)) continue;
      this.#originals.set(name, original);
      functions[name] = (...args) => {
        const from = native.profileSize(this.device);
        const result = original(...args);
        const to = native.profileSize(this.device);
        if (to > from) this.#calls.push({ name, from, to, ...workOf(name, args, result) });
        return result;
      };
    }
  }
}
