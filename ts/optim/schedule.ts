import { SrpoError } from "../native/error.js";

export type ScheduleKind = "constant" | "linear" | "cosine";

export interface ScheduleOptions {
  /** Updates over which the rate rises from 0 in equal steps; default 0. */
  warmup?: number;
  /** Updates of the whole run; linear and cosine end there. */
  total?: number;
  /** The share of the rate that linear and cosine end at; default 0. */
  floor?: number;
}

/** From the number of an update, 1 for the first, to the factor of the learning rate. */
export type Schedule = (update: number) => number;

/**
 * How the learning rate changes over a run. Update `warmup` is the first at the full rate; `constant`
 * stays there, `linear` falls in a line and `cosine` in half a cosine to `floor` at update `total`.
 *
 * @throws SrpoError ERR_CONFIG unless warmup is a whole number and, for linear and cosine, total is
 *   above it
 * @example const factor = schedule("constant", { warmup: 10 }); optimizer.step({ lr: 5e-6 * factor(1) })
 */
export function schedule(
  kind: ScheduleKind,
  { warmup = 0, total, floor = 0 }: ScheduleOptions = {},
): Schedule {
  const wrong = (name: string, expected: string, got: unknown): never => {
    throw new SrpoError(
      "ERR_CONFIG",
      `schedule: ${name}: expected ${expected}, got ${String(got)}`,
    );
  };
  if (!Number.isInteger(warmup) || warmup < 0) wrong("warmup", "0 or a whole number", warmup);
  if (!(floor >= 0 && floor <= 1)) wrong("floor", "0 to 1", floor);
  const rising = (update: number) => (warmup === 0 ? 1 : Math.min(1, update / warmup));
  if (kind === "constant") return rising;
  const end = total ?? wrong("total", `the number of updates for ${kind}`, "none");
  if (!Number.isInteger(end) || end <= warmup)
    wrong("total", `a whole number above warmup, ${warmup}`, end);
  const shape =
    kind === "linear" ? (x: number) => 1 - x : (x: number) => (1 + Math.cos(Math.PI * x)) / 2;
  return (update) => {
    const first = Math.max(warmup, 1); // the last update at the full rate
    if (update <= first) return rising(update);
    const progress = Math.min(1, (update - first) / Math.max(1, end - first));
    return floor + (1 - floor) * shape(progress);
  };
}
