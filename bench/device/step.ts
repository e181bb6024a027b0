import { spawn } from "node:child_process";

/** How a step ended. */
export interface StepResult {
  name: string;
  outcome: "passed" | "failed" | "timed out" | "skipped";
  seconds: number;
  /** The end of what it printed, or why it was skipped. */
  tail: string;
  exit?: number | null;
  signal?: string | null;
  /** What it counted or measured. */
  details?: unknown;
}

export interface Call {
  command: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Seconds after which it and all that it started are killed. */
  limit: number;
}

export interface Ended {
  output: string;
  exit: number | null;
  signal: string | null;
  timedOut: boolean;
  seconds: number;
}

/** Runs a program in a process group of its own, to its end or its limit. Never rejects. */
export function runCall({ command, args, cwd, env, limit }: Call): Promise<Ended> {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let timedOut = false;
    const collect = (text: Buffer): void => {
      output = (output + text.toString()).slice(-4_000_000);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const end = (exit: number | null, signal: string | null): void => {
      clearTimeout(timer);
      resolve({ output, exit, signal, timedOut, seconds: (performance.now() - started) / 1000 });
    };
    const timer = setTimeout(() => {
      timedOut = true;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
      // A process that hangs in the driver cannot be killed: the other steps must not wait for it.
      setTimeout(() => end(null, "SIGKILL"), 3000).unref();
    }, limit * 1000);
    child.once("error", (error) => {
      output += error.message;
      end(null, null);
    });
    child.once("close", end);
  });
}

/** The result of a step that is one program: passed if it exits with 0. */
export function resultOf(name: string, ended: Ended, details?: unknown): StepResult {
  return {
    name,
    outcome: ended.timedOut ? "timed out" : ended.exit === 0 ? "passed" : "failed",
    seconds: Math.round(ended.seconds * 10) / 10,
    tail: ended.output.slice(-2000),
    exit: ended.exit,
    signal: ended.signal,
    ...(details === undefined ? {} : { details }),
  };
}

/** Calls `fn` on every item, `width` at a time; the results are in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  fn: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++;
      results[i] = await fn(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
