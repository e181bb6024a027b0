// Which rank of how many this process is, from what the site's launcher left in the environment.
import os from "node:os";
import { SrpoError } from "../native/error.js";
import { readLaunchers, type Family } from "./launchers.js";

export type Launcher = "solo" | "torchrun" | "slurm" | "openmpi" | "mpich" | "launch";

export interface RankPlace {
  /** 0 to size - 1. */
  readonly rank: number;
  readonly size: number;
  /** Among the ranks of this node: the GPU to take. */
  readonly localRank: number;
  readonly localSize: number;
  /** Of this rank, from 0; counted by localSize where the launcher does not say. */
  readonly node: number;
  readonly nodes: number;
  /** This machine's name. */
  readonly host: string;
  /** Where rank 0 can be met; the port is 0 where MPI tells the ranks. */
  readonly master: { readonly host: string; readonly port: number };
  readonly launcher: Launcher;
  /**
   * How often the job was started again after a failure (SRPO_RESTARTS, TORCHELASTIC_RESTART_COUNT):
   * above 0, `train` goes on in the run folder that `--out` names.
   */
  readonly restarts: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** One process alone. */
export function soloPlace(host: string = os.hostname()): RankPlace {
  return {
    rank: 0,
    size: 1,
    localRank: 0,
    localSize: 1,
    node: 0,
    nodes: 1,
    host,
    master: { host: "127.0.0.1", port: 0 },
    launcher: "solo",
    restarts: 0,
  };
}

/**
 * Reads the launcher's variables: torchrun's form first, then Open MPI's, MPICH's and Slurm's. Variables that are
 * set to nothing count as not set.
 *
 * @throws SrpoError ERR_CONFIG for launchers that disagree, variables that are missing or no numbers, a rank
 *   outside its size; always naming the variables
 */
export function readPlace(env: Environment = process.env, host: string = os.hostname()): RankPlace {
  const families = readLaunchers(env);
  const [first, ...others] = families;
  if (first === undefined) return soloPlace(host);
  for (const other of others) requireAgreement(first, other);
  const { name, rank, size, localRank, localSize, node, nodes, master, restarts } = first;
  // Who knows where the ranks meet, among launchers that agree.
  const met = master ?? others.find((other) => other.master !== undefined)?.master;
  return {
    rank,
    size,
    localRank,
    localSize,
    node,
    nodes,
    host,
    master: met ?? { host: "127.0.0.1", port: 0 },
    launcher: env["SRPO_LAUNCH"] ? "launch" : name,
    restarts,
  };
}

/** Two launchers say the same, or the first was started by the second, once a node. */
function requireAgreement(inner: Family, outer: Family): void {
  if (inner.rank === outer.rank && inner.size === outer.size) return;
  const once = outer.size === inner.nodes && outer.rank === inner.node;
  if (once && inner.size > outer.size) return;
  const said = (family: Family) =>
    `${family.variables.rank}=${family.rank} of ${family.variables.size}=${family.size}`;
  throw new SrpoError(
    "ERR_CONFIG",
    `ranks: expected one launcher, got two that disagree: ${said(inner)}, ${said(outer)}; ` +
      "unset the variables of the one that did not start these processes",
  );
}
