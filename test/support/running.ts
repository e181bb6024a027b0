import { spawn, type ChildProcess } from "node:child_process";

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command that runs, and how it will end. */
export interface Running {
  process: ChildProcess;
  /** What came so far. */
  soFar: { stdout: string; stderr: string };
  ended: Promise<Ended>;
}

/** Starts a program whose output is collected, and which is killed when its time is over. */
export function startProgram(
  program: string,
  args: readonly string[],
  { cwd, env = {}, timeout = 60_000 }: { cwd?: string; env?: NodeJS.ProcessEnv; timeout?: number },
): Running {
  const child = spawn(program, args, {
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL",
  });
  const soFar = { stdout: "", stderr: "" };
  child.stdout.on("data", (text) => (soFar.stdout += String(text)));
  child.stderr.on("data", (text) => (soFar.stderr += String(text)));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({ code, signal, ...soFar });
    });
  });
  return { process: child, soFar, ended };
}
