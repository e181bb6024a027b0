import { native } from "../native/binding.js";
import { codeOf, SrpoError } from "../native/error.js";
import type { Device } from "../tensor/device.js";
import type { Communicator } from "./communicator.js";
import { meetByEnvironment, meetByMpi, type Link } from "./meet.js";
import { beginMpi, hasMpi, mpiPath } from "./mpi.js";
import { newNcclId, openNccl } from "./nccl.js";
import { NativeCommunicator } from "./native_communicator.js";
import type { RankPlace } from "./place.js";
import { soloCommunicator } from "./solo.js";
import {
  beatMs,
  defaultTimeoutSeconds,
  watchMaster,
  watchRanks,
  type Watch,
  type WatchOptions,
} from "./watch.js";

export type Engine = "nccl" | "mpi";

export interface OpenOptions {
  /** Default SRPO_ENGINE, or NCCL for cuda and MPI for cpu and emulated. If named, one rank alone uses it too. */
  engine?: Engine;
  /** How long a rank may be silent before it counts as stopped; default SRPO_RANK_TIMEOUT, or 60. */
  timeoutSeconds?: number;
  /** How long a rank may wait for others in one collective; default 1800. On cuda it is not known. */
  collectiveSeconds?: number;
  /** How long the ranks may take to meet; default 120. */
  connectSeconds?: number;
  /** Told that a rank was lost, just before this process ends. */
  onLost?: (message: string) => void;
}

/** SRPO_RANK_TIMEOUT, which `launch --rank-timeout` sets. */
function timeoutOf(env: NodeJS.ProcessEnv): number {
  const text = env["SRPO_RANK_TIMEOUT"] ?? "";
  if (text === "") return defaultTimeoutSeconds;
  const seconds = Number(text);
  if (!(seconds >= 2 && seconds <= 86_400))
    throw new SrpoError(
      "ERR_CONFIG",
      `SRPO_RANK_TIMEOUT: expected 2 to 86400 seconds, got ${JSON.stringify(text.slice(0, 40))}`,
    );
  return seconds;
}

const engines: readonly Engine[] = ["nccl", "mpi"];

/**
 * SRPO_ENGINE: what moves tensors, whatever the device; one rank alone uses it too. For trying NCCL on one GPU, or
 * a stand-in for it on none.
 *
 * @throws SrpoError ERR_CONFIG
 */
export function engineOf(env: Readonly<Record<string, string | undefined>>): Engine | undefined {
  const text = env["SRPO_ENGINE"] ?? "";
  if (text === "") return undefined;
  const engine = engines.find((one) => one === text);
  if (engine !== undefined) return engine;
  const got = JSON.stringify(text.slice(0, 40));
  throw new SrpoError("ERR_CONFIG", `SRPO_ENGINE: expected nccl or mpi, got ${got}`);
}

/** Ends this process because a rank was lost: at once, since its device may wait for that rank for ever. */
function leaveLost(message: string): never {
  process.stderr.write(`\nsrpo-native: ${message}\n`);
  return native.leaveAtOnce(1);
}

/**
 * Meets the other ranks: over NCCL on GPUs, over MPI on cpu and emulated. One rank alone meets nobody. From then
 * on a rank that is lost ends this process with exit code 1 and a line that names it: at once if it died, within
 * ten seconds if it was cut off, after `timeoutSeconds` if it was stopped.
 *
 * @throws SrpoError ERR_MPI, ERR_NCCL, ERR_RANKS (who was not met, where, after how long)
 */
export async function openCommunicator(
  place: RankPlace,
  device: Device,
  options: OpenOptions = {},
): Promise<Communicator> {
  const asked = options.engine ?? engineOf(process.env);
  if (place.size === 1 && asked === undefined) return soloCommunicator();
  const engine = asked ?? (device.startsWith("cuda") ? "nccl" : "mpi");
  // By its library's absence first: before anybody is met.
  const id = engine === "nccl" && place.rank === 0 ? newNcclId() : undefined;
  const connectMs = 1000 * (options.connectSeconds ?? 120);
  const timeoutSeconds = options.timeoutSeconds ?? timeoutOf(process.env);
  const [link, met] = await meet(place, engine, connectMs);
  let communicator: NativeCommunicator | undefined;
  const watch = startWatch(link, {
    place: met,
    timeoutSeconds,
    ...(options.collectiveSeconds !== undefined && {
      collectiveSeconds: options.collectiveSeconds,
    }),
    where: () =>
      communicator?.where ?? { step: 0, collective: "the meeting", count: 0, seconds: 0 },
    onLost: (message) => {
      options.onLost?.(message);
      leaveLost(message);
    },
  });
  const handle =
    engine === "mpi"
      ? native.commOpenMpi(mpiPath, device)
      : await openNccl(place, device, await shareId(link, id));
  communicator = new NativeCommunicator(handle, place, device, watch);
  watchSelf(place, process.env, communicator);
  return communicator;
}

/**
 * Ends this process when `launch`, whose process SRPO_LAUNCH names, is gone without having ended it, or when NCCL
 * says that a collective failed behind a call that had returned.
 */
function watchSelf(
  { launcher, rank }: RankPlace,
  env: NodeJS.ProcessEnv,
  communicator: NativeCommunicator,
): void {
  const pid = launcher === "launch" ? Number(env["SRPO_LAUNCH"]) : 0;
  setInterval(() => {
    const { failure } = communicator;
    if (failure !== undefined) leaveLost(`rank ${rank}: NCCL: ${failure}`);
    if (!(pid > 1)) return;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if (codeOf(error) === "ESRCH") leaveLost(`launch, process ${pid}, is gone; its ranks end`);
    }
  }, beatMs).unref();
}

/** MPI tells the ranks where to meet if it started them; else the launcher's variables do. */
async function meet(
  place: RankPlace,
  engine: Engine,
  connectMs: number,
): Promise<[Link, RankPlace]> {
  const byMpi = place.size > 1 && place.master.port === 0;
  if (engine === "mpi" || (byMpi && hasMpi())) {
    beginMpi(place);
    return meetByMpi(place, connectMs);
  }
  return [await meetByEnvironment(place, process.env, connectMs), place];
}

/** Rank 0's id for NCCL, told to all through the store. */
async function shareId(link: Link, id: string | undefined): Promise<string> {
  if ("client" in link) return link.client.wait("nccl id");
  link.server.set("nccl id", id!);
  return id!;
}

function startWatch(link: Link, options: WatchOptions): Watch {
  return "server" in link ? watchRanks(link.server, options) : watchMaster(link.client, options);
}
