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
  #done: number;
  /** When `#done` was last another. */
  #movedMs = this.#started;
  #note = "";
  #writtenMs = -Infinity;
  #open = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ProgressOptions) {
    this.#options = { done: 0, out: process.stderr, everyMs: 5000, ...options };
    this.#done = this.#options.done;
  }

  /** @param done - of `total`, those of earlier runs included */
  update(done: number, note = ""): void {
    const { out, everyMs, total } = this.#options;
    if (done !== this.#done) this.#movedMs = performance.now();
    this.#done = done;
    this.#note = note;
    if (done >= total) this.#write();
    else this.#tick(out.isTTY ? 100 : everyMs);
    // What is counted may take minutes: the time goes on meanwhile.
    this.#timer ??= setInterval(() => this.#tick(everyMs), out.isTTY ? 1000 : everyMs).unref();
  }

  /** A line of its own, the progress line kept below it. */
  say(text: string): void {
    const { out } = this.#options;
    out.write(`${out.isTTY && this.#open ? "\r\u001b[2K" : ""}${text}\n`);
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#open) this.#options.out.write("\n");
    this.#open = false;
  }

  #tick(everyMs: number): void {
    const sinceMs = performance.now() - this.#writtenMs;
    if (sinceMs >= (this.#options.out.isTTY ? Math.min(everyMs, 900) : 0.9 * everyMs))
      this.#write();
  }

  #write(): void {
    const { out } = this.#options;
    this.#writtenMs = performance.now();
    const line = this.#line();
    if (out.isTTY) {
      out.write(`\r\u001b[2K${line.slice(0, (out.columns ?? 80) - 1)}`);
      this.#open = true;
    } else {
      out.write(`${line}\n`);
    }
  }

  #line(): string {
    const { unit, total, done: before } = this.#options;
    const now = performance.now();
    const done = this.#done;
    // Of what is done, by the time when it was.
    const took = (this.#movedMs - this.#started) / 1000;
    const rate = took > 0.01 ? (done - before) / took : 0;
    const speed =
      rate >= 1 || rate === 0 ? `${rate.toFixed(1)} ${unit}/s` : `${(1 / rate).toFixed(1)} s each`;
    const left =
      done >= total
        ? clock(0)
        : rate > 0
          ? clock((total - done) / rate - (now - this.#movedMs) / 1000)
          : "?";
    const gone = clock((now - this.#started) / 1000);
    const note = this.#note && `  ${this.#note}`;
    return `${done}/${total} ${unit}  ${gone} gone, ${left} left  ${speed}${note}`;
  }
}
