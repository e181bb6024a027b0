import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../ts/native/load.js";

/** PyTorch in a process of its own: each message is answered with one line. */
export interface Opponent {
  /** "torch 2.13.0, 2 threads" */
  greeting: string;
  ask(message: object): Promise<unknown>;
  end(): void;
}

/** Starts PyTorch, on a device that it names so, where a python with torch is there; undefined otherwise. */
export async function torchOpponent(python: string, device = "cpu"): Promise<Opponent | undefined> {
  if (spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status !== 0) return undefined;
  const script = path.join(packageRoot, "bench", "support", "torch_opponent.py");
  const child = spawn(python, [script, device], {
    stdio: ["pipe", "pipe", "inherit"],
    // Its threads must not spin while ours work.
    env: { ...process.env, OMP_WAIT_POLICY: "PASSIVE" },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (message: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error("bench: the python process ended");
    const answer = JSON.parse(value) as { error?: string; value?: unknown };
    if (answer.error !== undefined) throw new Error(`bench: torch: ${answer.error}`);
    return answer.value;
  };
  return { greeting: String(await ask({ hello: true })), ask, end: () => child.stdin.end() };
}
