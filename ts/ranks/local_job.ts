// The ranks of one machine as child processes: started together, ended together.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createWriteStream, existsSync, readFileSync, rmSync, type WriteStream } from "node:fs";
import path from "node:path";
import { SrpoError } from "../native/error.js";

/** After the first failure: the others have so long to notice it, then to end, until they are killed. */
const noticeMs = 2500;
const endMs = 5000;

export interface JobOptions {
  /** Processes of this machine. */
  ranks: number;
  /** The first one's rank. */
  firstRank: number;
  command: readonly string[];
  /** Whether mpirun starts them: what moves tensors between ranks without GPUs. */
  mpi: boolean;
  /** Folder of the ranks' outputs; it is there. */
  logs: string;
  /** For all of them. */
  env: Readonly<Record<string, string>>;
  /** For each of them, by its place on this machine; mpirun tells its own. */
  envOf: (local: number) => Readonly<Record<string, string>>;
}

export interface JobEnd {
  /** Of the first process that failed; 0 if none did. */
  code: number;
  /** "rank 3 ended with exit code 1" */
  what: string;
}

export const logOf = (logs: string, rank: number): string =>
  path.join(logs, `rank-${String(rank).padStart(4, "0")}.log`);

const pidFileOf = (logs: string, rank: number) => logOf(logs, rank).replace(/log$/, "pid");

/** What a process of mpirun's does first: writes down which process it is, and all but rank 0 where they log. */
const wrapper = `rank=\${OMPI_COMM_WORLD_RANK:-$PMI_RANK}
name=$SRPO_LOGS/rank-$(printf %04d "$rank")
echo $$ > "$name.pid"
if [ "$rank" = 0 ]; then exec "$@"; else exec "$@" >> "$name.log" 2>&1; fi`;

/**
 * mpirun's own flags: as many ranks as are asked for, on all cores, whoever asks.
 *
 * @throws SrpoError ERR_MPI where mpirun is not
 */
export function mpirunFlags(): string[] {
  const found = spawnSync("mpirun", ["--version"], { encoding: "utf8" });
  if (found.status !== 0)
    throw new SrpoError(
      "ERR_MPI",
      "launch: mpirun was not found: ranks without GPUs talk over MPI; on Debian: " +
        'apt-get install openmpi-bin libopenmpi-dev, then "npm run build:native"',
    );
  if (!/open.?mpi/i.test(found.stdout)) return [];
  const root = process.getuid?.() === 0 ? ["--allow-run-as-root"] : [];
  return [...root, "--oversubscribe", "--bind-to", "none"];
}

function mpirunCommand(ranks: number, command: readonly string[]): string[] {
  return ["mpirun", ...mpirunFlags(), "-n", `${ranks}`, "sh", "-c", wrapper, "sh", ...command];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends a signal to a process, or a group of them, that may have ended. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function codeOfEnd(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 137);
}

export class LocalJob {
  readonly #options: JobOptions;
  readonly #children: ChildProcess[] = [];
  readonly #log: WriteStream;
  readonly ended: Promise<JobEnd>;

  constructor(options: JobOptions) {
    this.#options = options;
    const { logs, ranks, firstRank, mpi } = options;
    for (let local = 0; local < ranks; ++local)
      rmSync(pidFileOf(logs, firstRank + local), { force: true });
    this.#log = createWriteStream(logOf(logs, firstRank), { flags: "a" });
    this.ended = mpi ? this.#startMpi() : this.#startAll();
  }

  /** To every rank: they save and end in their own time. */
  interrupt(signal: NodeJS.Signals): void {
    for (const pid of this.#pids()) send(pid, signal);
  }

  /** Ends what is still there, at once. */
  kill(): void {
    for (const pid of this.#pids()) send(pid, "SIGKILL");
    for (const child of this.#children) if (child.pid !== undefined) send(-child.pid, "SIGKILL");
  }

  /** The ranks' processes, as far as they are known. */
  #pids(): number[] {
    const { mpi, logs, ranks, firstRank } = this.#options;
    if (!mpi)
      return this.#children.flatMap(({ pid, exitCode }) => (exitCode === null && pid ? [pid] : []));
    return Array.from({ length: ranks }, (_, local) => pidFileOf(logs, firstRank + local))
      .filter((file) => existsSync(file))
      .map((file) => Number(readFileSync(file, "utf8").trim()))
      .filter((pid) => Number.isInteger(pid) && pid > 1 && isAlive(pid));
  }

  /** A process group of its own: a terminal's Ctrl-C reaches it through us alone. */
  #spawn(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
    const [program, ...args] = command;
    const child = spawn(program!, args, {
      env: { ...process.env, ...this.#options.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#children.push(child);
    return child;
  }

  /** The first rank's words go to the terminal and its log. */
  #show(child: ChildProcess): void {
    child.stdout?.on("data", (text: Buffer) => {
      process.stdout.write(text);
      this.#log.write(text);
    });
    child.stderr?.on("data", (text: Buffer) => {
      process.stderr.write(text);
      this.#log.write(text);
    });
  }

  static #endOf(child: ChildProcess, name: string): Promise<JobEnd> {
    return new Promise((resolve) => {
      child.once("error", (error) => resolve({ code: 127, what: `${name}: ${error.message}` }));
      child.once("close", (code, signal) => {
        const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
        resolve({ code: codeOfEnd(code, signal), what: `${name} ${how}` });
      });
    });
  }

  async #startMpi(): Promise<JobEnd> {
    const { ranks, command, logs } = this.#options;
    const child = this.#spawn(mpirunCommand(ranks, command), { SRPO_LOGS: path.resolve(logs) });
    this.#show(child);
    const end = await LocalJob.#endOf(child, "mpirun");
    // mpirun ends what it started; what a stopped rank left behind is ended here.
    this.kill();
    this.#log.end();
    return end;
  }

  async #startAll(): Promise<JobEnd> {
    const { ranks, firstRank, command, logs, envOf } = this.#options;
    let first: JobEnd | undefined;
    let timers: NodeJS.Timeout[] = [];
    const ends = Array.from({ length: ranks }, async (_, local) => {
      const rank = firstRank + local;
      const child = this.#spawn(command, envOf(local));
      if (local === 0) this.#show(child);
      else {
        const log = createWriteStream(logOf(logs, rank), { flags: "a" });
        child.stdout?.pipe(log, { end: false });
        child.stderr?.pipe(log, { end: false });
        child.once("close", () => log.end());
      }
      const end = await LocalJob.#endOf(child, `rank ${rank}`);
      if (end.code === 0 || first !== undefined) return;
      first = end;
      timers = [
        setTimeout(() => this.interrupt("SIGTERM"), noticeMs),
        setTimeout(() => this.kill(), noticeMs + endMs),
      ];
    });
    await Promise.all(ends);
    for (const timer of timers) clearTimeout(timer);
    this.#log.end();
    return first ?? { code: 0, what: "all ranks ended" };
  }
}
