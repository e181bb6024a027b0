import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { SrpoError } from "../native/error.js";
import { packageRoot } from "../native/load.js";
import { freePort } from "../ranks/free_port.js";
import { LocalJob, logOf, type JobEnd } from "../ranks/local_job.js";
import { command } from "./command.js";
import { commands } from "./commands.js";

/** The command that each rank runs: one of ours, or any program. */
function commandOf(words: readonly string[]): string[] {
  const [first, ...rest] = words[0] === "srpo-native" ? words.slice(1) : words;
  if (first === undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      "launch: expected a command after --, as in: -- train recipe.yaml",
    );
  const ours = commands.some(({ name }) => name === first);
  const bin = path.join(packageRoot, "bin", "srpo-native.js");
  return ours ? [process.execPath, bin, first, ...rest] : [first, ...rest];
}

/** Whether the words, or a file of options among them, name a GPU. */
function namesCuda(words: readonly string[]): boolean {
  const said = words.flatMap((word, i) =>
    word === "--device"
      ? [words[i + 1] ?? ""]
      : word.startsWith("--device=")
        ? [word.slice(9)]
        : [],
  );
  const last = said.at(-1);
  if (last !== undefined) return last.startsWith("cuda");
  return words
    .filter((word) => /\.ya?ml$/.test(word) && existsSync(word) && statSync(word).size < 1 << 20)
    .some((file) => /^\s*device\s*:\s*["']?cuda/m.test(readFileSync(file, "utf8")));
}

interface Machines {
  nodes: number;
  nodeRank: number;
  master: string | undefined;
}

function masterOf({
  nodes,
  nodeRank,
  master,
}: Machines): { host: string; port: number } | undefined {
  if (nodeRank >= nodes)
    throw new SrpoError(
      "ERR_CONFIG",
      `node-rank: expected below --nodes ${nodes}, got ${nodeRank}`,
    );
  if (nodes > 1 && master === undefined)
    throw new SrpoError(
      "ERR_CONFIG",
      `master: expected HOST:PORT of node 0 with --nodes ${nodes}, got none`,
    );
  if (master === undefined) return undefined;
  const found = /^\[?([A-Za-z0-9._:%-]{1,253}?)\]?:(\d{1,5})$/.exec(master);
  const port = Number(found?.[2]);
  if (found === null || port < 1 || port > 65535)
    throw new SrpoError(
      "ERR_CONFIG",
      `master: expected HOST:PORT, got ${JSON.stringify(master.slice(0, 80))}`,
    );
  return { host: found[1]!, port };
}

/** How long each rank's log is. */
function lengthsOf(logs: string, ranks: number, firstRank: number): number[] {
  const files = Array.from({ length: ranks }, (_, local) => logOf(logs, firstRank + local));
  return files.map((file) => (existsSync(file) ? statSync(file).size : 0));
}

/** The last line that each rank said of itself, for a failure that the first does not show. */
function lastWords(logs: string, firstRank: number, before: readonly number[]): string[] {
  const said: string[] = [];
  for (let local = 1; local < before.length && said.length < 8; ++local) {
    const file = logOf(logs, firstRank + local);
    if (!existsSync(file)) continue;
    const lines = readFileSync(file).subarray(before[local]).toString().trimEnd().split("\n");
    const line = lines.findLast((text) => text.startsWith("srpo-native: "));
    if (line !== undefined) said.push(`rank ${firstRank + local}: ${line.slice(13)} (${file})`);
  }
  return said;
}

/** Ctrl-C: the first goes to every rank, which save and end; the second ends them at once. */
function forwardSignals(job: () => LocalJob | undefined): {
  interrupted: () => boolean;
  end: () => void;
} {
  let count = 0;
  const on = (signal: NodeJS.Signals): void => {
    if (++count === 1) {
      process.stderr.write(
        "\nsrpo-native: every rank ends after its step; once more ends them at once\n",
      );
      job()?.interrupt(signal);
      return;
    }
    job()?.kill();
    process.exit(signal === "SIGTERM" ? 143 : 130);
  };
  process.on("SIGINT", on);
  process.on("SIGTERM", on);
  return {
    interrupted: () => count > 0,
    end: () => {
      process.off("SIGINT", on);
      process.off("SIGTERM", on);
    },
  };
}

export const launchCommand = command({
  name: "launch",
  positional: "-- command [options]",
  summary: "starts the ranks of a job on this machine and ends them together",
  schema: {
    ranks: {
      type: "number",
      integer: true,
      min: 1,
      max: 1024,
      help: "processes of this machine: one a GPU",
    },
    engine: {
      type: "text",
      default: "auto",
      choices: ["auto", "mpi", "nccl"],
      help: "what moves tensors: mpi for ranks on cpu and emulated, nccl for cuda; auto: by the command's device",
    },
    nodes: {
      type: "number",
      integer: true,
      min: 1,
      max: 1024,
      default: 1,
      help: "machines; start this on each",
    },
    nodeRank: {
      type: "number",
      integer: true,
      min: 0,
      max: 1023,
      default: 0,
      help: "which of them this is",
    },
    master: { type: "text", help: "HOST:PORT of node 0, where the ranks meet" },
    rankTimeout: {
      type: "number",
      min: 2,
      max: 86400,
      default: 60,
      help: "seconds of silence after which a rank counts as stopped",
    },
    restarts: {
      type: "number",
      integer: true,
      min: 0,
      max: 1000,
      default: 0,
      help: "how often to start again from the last checkpoint after a failure",
    },
    logs: { type: "text", default: "logs", help: "folder of what each rank says: rank-0003.log" },
  },
  examples: [
    [
      "launch --ranks 2 -- train --preset micro --model micro --out runs/two",
      "two ranks on the CPU, by mpirun",
    ],
    [
      "launch --ranks 8 --restarts 3 -- train recipe.yaml --device cuda:0 --out runs/a",
      "a node of eight GPUs",
    ],
    [
      "launch --ranks 8 --nodes 2 --node-rank 1 --master 10.0.0.1:29500 -- train recipe.yaml",
      "the second of two nodes",
    ],
  ],
  async run(o, { positional }) {
    if (o.ranks === undefined)
      throw new SrpoError("ERR_CONFIG", "ranks: expected a number, got none");
    const words = [...positional];
    const cmd = commandOf(words);
    const master = masterOf(o);
    const mpi = o.engine === "mpi" || (o.engine === "auto" && !namesCuda(words));
    if (mpi && o.nodes > 1)
      throw new SrpoError(
        "ERR_CONFIG",
        "nodes: ranks without GPUs are started over several machines by mpirun --hostfile, or by srun",
      );
    const isTrain = cmd[2] === "train";
    if (o.restarts > 0 && isTrain && !words.some((word) => /^--(?:out|resume)(?:=|$)/.test(word)))
      throw new SrpoError(
        "ERR_CONFIG",
        "restarts: expected train --out DIR, where a job that starts again goes on",
      );
    const firstRank = o.nodeRank * o.ranks;
    mkdirSync(o.logs, { recursive: true });

    let job: LocalJob | undefined;
    const signals = forwardSignals(() => job);
    const token =
      process.env["SRPO_TOKEN"] || (o.nodes > 1 ? "" : randomBytes(24).toString("base64url"));
    const start = async (restart: number): Promise<JobEnd> => {
      const at = master ?? { host: "127.0.0.1", port: await freePort() };
      job = new LocalJob({
        ranks: o.ranks!,
        firstRank,
        command: cmd,
        mpi,
        logs: o.logs,
        env: {
          SRPO_LAUNCH: String(process.pid),
          SRPO_RESTARTS: String(restart),
          SRPO_RANK_TIMEOUT: String(o.rankTimeout),
          ...(token && { SRPO_TOKEN: token }),
        },
        envOf: (local) => ({
          RANK: String(firstRank + local),
          WORLD_SIZE: String(o.nodes * o.ranks!),
          LOCAL_RANK: String(local),
          LOCAL_WORLD_SIZE: String(o.ranks),
          GROUP_RANK: String(o.nodeRank),
          GROUP_WORLD_SIZE: String(o.nodes),
          MASTER_ADDR: at.host,
          MASTER_PORT: String(at.port),
        }),
      });
      return job.ended;
    };
    process.stderr.write(
      `launch: ${o.ranks} ranks by ${mpi ? "mpirun" : "torchrun's variables"}, logs in ${o.logs}\n`,
    );
    try {
      for (let restart = 0; ; ++restart) {
        const before = lengthsOf(o.logs, o.ranks, firstRank);
        const { code, what } = await start(restart);
        if (code === 0) return 0;
        if (signals.interrupted()) return code;
        for (const line of lastWords(o.logs, firstRank, before))
          process.stderr.write(`launch: ${line}\n`);
        process.stderr.write(`launch: ${what}\n`);
        // What was called wrongly is wrong again.
        if (code === 2 || restart >= o.restarts) return code;
        process.stderr.write(`launch: starting again, ${restart + 1} of ${o.restarts}\n`);
      }
    } finally {
      signals.end();
    }
  },
});
