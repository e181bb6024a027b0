/** "1:02:03", or "2:03" under an hour. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60) % 60;
  if (s < 3600) return `${minutes}:${two(s % 60)}`;
  return `${Math.floor(s / 3600)}:${two(minutes)}:${two(s % 60)}`;
}

export interface ProgressOptions {
  /** What is counted, in the plural: "updates". */
  unit: string;
  total: number;
  /** How many were done before this run began. */
  done?: number;
  out?: NodeJS.WriteStream;
  /** Between plain lines where the output is no terminal; default 5000. */
  everyMs?: number;
}

/**
 * Progress with rate and time left on stderr: one line that is written over on a terminal, a plain line
 * every few seconds elsewhere.
 */
export class Progress {
  readonly #options: Required<ProgressOptions>;
  readonly #started = performance.now();
  #lastMs = -Infinity;
  #open = false;

  constructor(options: ProgressOptions) {
    this.#options = { done: 0, out: process.stderr, everyMs: 5000, ...options };
  }

  /** @param done - of `total`, those of earlier runs included */
  update(done: number, note = ""): void {
    const { out, everyMs, total } = this.#options;
    const now = performance.now();
    const last = done >= total;
    if (!last && now - this.#lastMs < (out.isTTY ? 100 : everyMs)) return;
    this.#lastMs = now;
    const line = this.#line(done, note, (now - this.#started) / 1000);
    if (out.isTTY) {
      out.write(`\r\u001b[2K${line.slice(0, (out.columns ?? 80) - 1)}`);
      this.#open = true;
    } else {
      out.write(`${line}\n`);
    }
  }

  /** A line of its own, the progress line kept below it. */
  say(text: string): void {
    const { out } = this.#options;
    out.write(`${out.isTTY && this.#open ? "\r\u001b[2K" : ""}${text}\n`);
  }

  end(): void {
    if (this.#open) this.#options.out.write("\n");
    this.#open = false;
  }

  #line(done: number, note: string, seconds: number): string {
    const { unit, total, done: before } = this.#options;
    const rate = seconds > 0 ? (done - before) / seconds : 0;
    const speed =
      rate >= 1 || rate === 0 ? `${rate.toFixed(1)} ${unit}/s` : `${(1 / rate).toFixed(1)} s each`;
    const left = rate > 0 ? clock((total - done) / rate) : "?";
    const share = `${done}/${total} ${unit}`;
    return `${share}  ${clock(seconds)} gone, ${left} left  ${speed}${note && `  ${note}`}`;
  }
}
