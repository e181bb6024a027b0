import type { LoadProgress } from "../nn/load.js";
import { Progress } from "./progress.js";

// What takes a second needs no line.
const leastBytes = 1e9;

/** Tells on stderr how far the load of a large model is; small ones load in silence. */
export function loading(what: string): { onProgress: LoadProgress } {
  let bar: Progress | undefined;
  return {
    onProgress: (done, total) => {
      if (total < leastBytes) return;
      bar ??= new Progress({ unit: "MB", total: Math.round(total / 1e6) });
      bar.update(Math.round(done / 1e6), `loading ${what}`);
      if (done >= total) bar.end();
    },
  };
}
