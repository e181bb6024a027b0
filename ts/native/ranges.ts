// Named stages of the work, nested, for a profile: "rollout", "double_blocks.3". While none is taken a
// stage is no more than the call of its function.

/** Names of the stages that are open, outermost first. */
export type RangePath = readonly string[];

/** What is told of stages while a profile is taken. */
export interface RangeRecorder {
  begin(name: string): void;
  end(): void;
  path(): RangePath;
  /** Calls `fn` within the stages of `path` that are not open now: what backward does for a stage. */
  within<T>(path: RangePath, fn: () => T): T;
}

let recorder: RangeRecorder | undefined;

/** Tells `to` of every stage from now on; undefined: nobody. */
export function recordRanges(to: RangeRecorder | undefined): void {
  recorder = to;
}

/** Calls `fn` as a stage of this name; the stage of a promise ends when it is settled. */
export function range<T>(name: string, fn: () => T): T {
  const to = recorder;
  if (to === undefined) return fn();
  to.begin(name);
  let result: T;
  try {
    result = fn();
  } catch (error) {
    to.end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(() => to.end()) as T;
  to.end();
  return result;
}

/** Where we are, for `rangeAgain`; undefined while no profile is taken. */
export function rangePath(): RangePath | undefined {
  return recorder?.path();
}

/** Calls `fn` as part of the stages that `rangePath` gave earlier. */
export function rangeAgain<T>(path: RangePath | undefined, fn: () => T): T {
  return path === undefined || recorder === undefined ? fn() : recorder.within(path, fn);
}
