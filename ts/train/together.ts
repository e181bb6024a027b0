// How a run of several processes begins: who they are, on which device each, and whether they were asked the
// same.
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { engineOf, openCommunicator } from "../ranks/open.js";
import type { RankPlace } from "../ranks/place.js";
import type { Device } from "../tensor/device.js";
import type { TrainConfig } from "./config.js";
import { Ranks } from "./ranks.js";
import type { RunFolder } from "./run_folder.js";
import { flagOf } from "./schema.js";
import { requireDevice } from "./setup.js";

/** The options as this rank runs them: a GPU of its own, and its part of the node's processors. */
export function ofRank(config: TrainConfig, { localRank, localSize }: RankPlace): TrainConfig {
  if (localSize === 1) return config;
  const threads = Math.max(1, Math.floor(os.availableParallelism() / localSize));
  return {
    ...config,
    device: config.device.startsWith("cuda:") ? `cuda:${localRank}` : config.device,
    threads: config.threads === 0 ? threads : config.threads,
  };
}

/**
 * Meets the other ranks of the job.
 *
 * @param config - this rank's, of `ofRank`
 * @throws SrpoError ERR_DEVICE, ERR_MPI, ERR_NCCL, ERR_RANKS
 */
export async function openRanks(config: TrainConfig, place: RankPlace): Promise<Ranks> {
  if (place.size === 1 && engineOf(process.env) === undefined) return Ranks.solo();
  const device: Device = requireDevice(config.device);
  native.cpuSetThreads(config.threads);
  return Ranks.of(await openCommunicator(place, device), device);
}

/**
 * That all ranks were asked the same, but for what is a rank's own: device and threads.
 *
 * @throws SrpoError ERR_CONFIG that names the first option of the first rank that differs
 */
export async function requireSameOptions(ranks: Ranks, config: TrainConfig): Promise<void> {
  const { device, threads, ...mine } = config;
  const [first, ...others] = await ranks.gather({ ...mine, device: device.replace(/\d+$/, "N") });
  void threads;
  const textOf = (value: unknown) => (value === undefined ? "none" : JSON.stringify(value));
  for (const [i, other] of others.entries()) {
    const names = Object.keys({ ...first, ...other }) as (keyof typeof other)[];
    const name = names.find((one) => textOf(other[one]) !== textOf(first![one]));
    if (name !== undefined)
      throw new SrpoError(
        "ERR_CONFIG",
        `${name}: expected the same --${flagOf(name)} on all ranks, got ${textOf(other[name])} on rank ${i + 1} ` +
          `and ${textOf(first![name])} on rank 0`,
      );
  }
}

/** That every rank sees the run's folder. @throws SrpoError ERR_CONFIG that names rank and host */
export async function requireSharedFolder(ranks: Ranks, run: RunFolder): Promise<void> {
  await ranks.all(async () => {
    if (!existsSync(run.config))
      throw new SrpoError(
        "ERR_CONFIG",
        `out: expected a folder that all ranks share, got none on ${os.hostname()} at ${run.path}`,
      );
    await Promise.resolve();
  });
}

/** A rank's own lines: logs/rank-00001.log of the run's folder. */
export class RankLog {
  readonly #file: string;

  constructor(run: RunFolder, rank: number) {
    const folder = path.join(run.path, "logs");
    mkdirSync(folder, { recursive: true });
    this.#file = path.join(folder, `rank-${String(rank).padStart(5, "0")}.log`);
  }

  line(text: string): void {
    appendFileSync(this.#file, `${new Date().toISOString()} ${text}\n`);
  }
}
