// A profile as Chrome's trace events: chrome://tracing, or ui.perfetto.dev.
import type { Taken } from "./profiler.js";

interface Event {
  name: string;
  ph: "X" | "M";
  pid: number;
  tid: number;
  cat?: "stage" | "op" | "kernel" | "host";
  /** Microseconds. */
  ts?: number;
  dur?: number;
  args?: Record<string, unknown>;
}

export interface Trace {
  displayTimeUnit: "ms";
  otherData: Record<string, unknown>;
  traceEvents: Event[];
}

/** Tracks: the device's stages and ops, nested; its kernels, if it says; where the caller's thread was. */
const tracks = { device: 1, kernels: 2, host: 3 } as const;
const pid = 1;

/** To the nanosecond. */
const round = (us: number): number => Math.round(us * 1000) / 1000;

function complete(
  cat: NonNullable<Event["cat"]>,
  tid: number,
  name: string,
  begin: number,
  end: number,
  args?: Record<string, unknown>,
): Event {
  const ts = round(begin);
  const dur = round(round(end) - ts);
  return { name, cat, ph: "X", pid, tid, ts, dur, ...(args === undefined ? {} : { args }) };
}

/** First beginning and last end of the pieces `from` to before `to` that ran. */
export function spanOf(
  { pieces }: Pick<Taken, "pieces">,
  from: number,
  to: number,
): { begin: number; end: number } | undefined {
  let [begin, end] = [Infinity, -Infinity];
  for (let i = from; i < to; ++i) {
    const piece = pieces[i]!;
    if (Number.isNaN(piece.end)) continue;
    begin = Math.min(begin, piece.begin);
    end = Math.max(end, piece.end);
  }
  return end < begin ? undefined : { begin, end };
}

/** The whole profile; `about` says what was profiled. */
export function traceOf(taken: Taken, about: Record<string, unknown>): Trace {
  const { device, stages, calls, pieces, kernels } = taken;
  const named = (tid: number, name: string): Event => ({
    name: "thread_name",
    ph: "M",
    pid,
    tid,
    args: { name },
  });
  const traceEvents: Event[] = [
    { name: "process_name", ph: "M", pid, tid: 0, args: { name: "srpo-native" } },
    named(tracks.device, `${device}: stages and ops`),
    ...(kernels.length > 0 ? [named(tracks.kernels, `${device}: kernels`)] : []),
    named(tracks.host, "host: enqueueing"),
  ];
  for (const { name, from, to, entered, left } of stages) {
    const span = spanOf(taken, from, to);
    if (span !== undefined)
      traceEvents.push(complete("stage", tracks.device, name, span.begin, span.end));
    traceEvents.push(complete("host", tracks.host, name, entered, left));
  }
  const callOf = new Map<number, (typeof calls)[number]>();
  for (const call of calls) for (let i = call.from; i < call.to; ++i) callOf.set(i, call);
  pieces.forEach(({ op, begin, end }, i) => {
    if (Number.isNaN(end)) return;
    const call = callOf.get(i);
    const seconds = (end - begin) / 1e6;
    const rate =
      call?.flops === undefined || call.to - call.from !== 1 || seconds === 0
        ? {}
        : { gflops: Math.round(call.flops / seconds / 1e8) / 10 };
    const args =
      call === undefined
        ? { op }
        : { op, shapes: call.shapes, bytes: call.bytes, flops: call.flops, ...rate };
    traceEvents.push(complete("op", tracks.device, call?.name ?? op, begin, end, args));
  });
  for (const { name, begin, end, ...args } of kernels)
    traceEvents.push(complete("kernel", tracks.kernels, name, begin, end, args));
  return { displayTimeUnit: "ms", otherData: { ...about, timer: taken.timer }, traceEvents };
}
