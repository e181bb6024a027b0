import { schedule } from "../../optim/schedule.js";

/** From the number of an update, 1 for the first, to its learning rate. */
export type Rate = (update: number) => number;

/** Updates over which a rate rises; never more than a tenth of the run. */
const warmup = (total: number) => Math.min(100, Math.floor(total / 10));

/** Up to `peak`, then down to `end` in half a cosine. */
export function warmCosine(peak: number, end: number, total: number): Rate {
  const factor = schedule("cosine", { warmup: warmup(total), total, floor: end / peak });
  return (update) => peak * factor(update);
}

/** Up to `peak`, there for the first half, then down to `end` in a line. */
export function constantThenLinear(peak: number, end: number, total: number): Rate {
  const half = Math.floor(total / 2);
  const rise = schedule("constant", { warmup: warmup(total) });
  const fall = schedule("linear", { total: total - half, floor: end / peak });
  return (update) => peak * (update <= half ? rise(update) : fall(update - half));
}
