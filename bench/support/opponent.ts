import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../../ts/native/load.js";

/** PyTorch in a process of its own: each message is answered with one line. */
export interface Opponent {
  /** "torch 2.13.0, 2 threads" */
  greeting: string;
  /** Makes ready what `spec` says; the variant that was fastest of those tried: "eager", "compiled". */
  setUp(spec: object): Promise<string>;
  /** Seconds of each of so many calls, on a GPU by events with a cold cache before each. */
  times(calls: number): Promise<number[]>;
  /** Seconds of a call in a stretch of so many. */
  stretch(calls: number): Promise<number>;
  /** Frees what `setUp` made. */
  clear(): Promise<void>;
  end(): void;
}

/**
 * Starts PyTorch, on a device that it names so, where a python with torch is there; undefined otherwise.
 *
 * @param options.compile - also try torch.compile, where a call has parts that it can fuse
 */
export async function torchOpponent(
  python: string,
  device = "cpu",
  { compile = false }: { compile?: boolean } = {},
): Promise<Opponent | undefined> {
  if (spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status !== 0) return undefined;
  const script = path.join(packageRoot, "bench", "support", "torch_opponent.py");
  const child = spawn(python, [script, device, ...(compile ? ["--compile"] : [])], {
    stdio: ["pipe", "pipe", "inherit"],
    // Its threads must not spin while ours work.
    env: { ...process.env, OMP_WAIT_POLICY: "PASSIVE" },
  });
  child.stdin.on("error", () => undefined); // it has ended: the next answer says so
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (message: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error("bench: the python process ended");
    const answer = JSON.parse(value) as { error?: string; value?: unknown };
    if (answer.error !== undefined) throw new Error(`bench: torch: ${answer.error}`);
    return answer.value;
  };
  return {
    greeting: String(await ask({ hello: true })),
    setUp: async (spec) => String(await ask({ setUp: spec })),
    times: async (calls) => (await ask({ times: calls })) as number[],
    stretch: async (calls) => Number(await ask({ stretch: calls })),
    clear: async () => void (await ask({ clear: true })),
    end: () => child.stdin.end(),
  };
}
