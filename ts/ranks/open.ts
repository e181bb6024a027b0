import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import type { Device } from "../tensor/device.js";
import type { Communicator } from "./communicator.js";
import { meetByMpi, type Link } from "./meet.js";
import { beginMpi, mpiPath } from "./mpi.js";
import { NativeCommunicator } from "./native_communicator.js";
import type { RankPlace } from "./place.js";
import { soloCommunicator } from "./solo.js";
import { defaultTimeoutSeconds, watchMaster, watchRanks, type Watch, type Where } from "./watch.js";

export interface OpenOptions {
  /** How long a rank may be silent before it counts as stopped; default SRPO_RANK_TIMEOUT, or 60. */
  timeoutSeconds?: number;
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
  if (place.size === 1) return soloCommunicator();
  const connectMs = 1000 * (options.connectSeconds ?? 120);
  const timeoutSeconds = options.timeoutSeconds ?? timeoutOf(process.env);
  beginMpi(place);
  const [link, met] = await meetByMpi(place, connectMs);
  const handle = native.commOpenMpi(mpiPath, device);
  const communicator = new NativeCommunicator(handle, place, device);
  const watch = startWatch(link, {
    place: met,
    timeoutSeconds,
    where: () => communicator.where,
    onLost: (message) => {
      options.onLost?.(message);
      leaveLost(message);
    },
  });
  communicator.watchedBy(watch);
  return communicator;
}

function startWatch(
  link: Link,
  options: {
    place: RankPlace;
    timeoutSeconds: number;
    where: () => Where;
    onLost: (message: string) => void;
  },
): Watch {
  return "server" in link ? watchRanks(link.server, options) : watchMaster(link.client, options);
}
