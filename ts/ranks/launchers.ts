// The variables of each launcher. What is theirs and missing, no number or out of range is an error that
// names the variable.
import { SrpoError } from "../native/error.js";
import { expandNodeList } from "./node_list.js";
import type { Launcher } from "./place.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** What one launcher says. */
export interface Family {
  name: Launcher;
  variables: { rank: string; size: string };
  rank: number;
  size: number;
  localRank: number;
  localSize: number;
  node: number;
  nodes: number;
  master: { host: string; port: number } | undefined;
  restarts: number;
}

const mostRanks = 1_000_000;

function refuse(message: string): never {
  throw new SrpoError("ERR_CONFIG", `ranks: ${message}`);
}

const isSet = (env: Environment, name: string) => (env[name] ?? "") !== "";

function optionalCount(env: Environment, name: string, most = mostRanks): number | undefined {
  const text = env[name] ?? "";
  if (text === "") return undefined;
  if (!/^\d{1,9}$/.test(text) || Number(text) > most)
    refuse(`${name}: expected a number up to ${most}, got ${JSON.stringify(text.slice(0, 40))}`);
  return Number(text);
}

function count(env: Environment, name: string, because: string): number {
  return (
    optionalCount(env, name) ??
    refuse(`${name}: expected a number because ${because} is set, got none`)
  );
}

/** The rank and size of a family, both there and one below the other. */
function rankOf(
  env: Environment,
  rankName: string,
  sizeName: string,
): { rank: number; size: number } {
  const rank = count(env, rankName, sizeName);
  const size = count(env, sizeName, rankName);
  if (size < 1) refuse(`${sizeName}: expected at least 1, got ${size}`);
  if (rank >= size) refuse(`${rankName}: expected below ${sizeName}=${size}, got ${rank}`);
  return { rank, size };
}

/** The rank within the node, and how many nodes that makes where nobody says. */
function localOf(
  env: Environment,
  { rank, size }: { rank: number; size: number },
  names: { rank: string; size: string; node?: string; nodes?: string },
): { localRank: number; localSize: number; node: number; nodes: number } {
  const saidRank = optionalCount(env, names.rank);
  const saidSize = optionalCount(env, names.size);
  const localSize = saidSize ?? (saidRank === undefined ? 1 : Math.min(size, saidRank + 1));
  const localRank = saidRank ?? rank % localSize;
  if (localSize < 1 || localSize > size)
    refuse(`${names.size}: expected 1 to the number of ranks, ${size}, got ${localSize}`);
  if (localRank >= localSize)
    refuse(`${names.rank}: expected below ${names.size}=${localSize}, got ${localRank}`);
  const said = (name: string | undefined) =>
    name === undefined ? undefined : optionalCount(env, name);
  const nodes = said(names.nodes) ?? Math.ceil(size / localSize);
  const node = said(names.node) ?? Math.min(nodes - 1, Math.floor(rank / localSize));
  if (nodes < 1 || node >= nodes)
    refuse(
      `${names.node ?? names.rank}: expected below ${names.nodes ?? "the nodes"}=${nodes}, got ${node}`,
    );
  return { localRank, localSize, node, nodes };
}

function hostOf(env: Environment, name: string): string {
  const host = env[name] ?? "";
  if (!/^[A-Za-z0-9._:%-]{1,253}$/.test(host))
    refuse(`${name}: expected a host or address, got ${JSON.stringify(host.slice(0, 60))}`);
  return host;
}

/** SRPO_MASTER_PORT before the launcher's own. */
function portOf(env: Environment, name: string): number | undefined {
  for (const one of ["SRPO_MASTER_PORT", name]) {
    const port = optionalCount(env, one, 65535);
    if (port === 0) refuse(`${one}: expected 1 to 65535, got 0`);
    if (port !== undefined) {
      // torchrun's own store may have that port: ours is the next.
      const taken = one === "MASTER_PORT" && env["TORCHELASTIC_USE_AGENT_STORE"] === "True";
      return taken ? Math.min(65535, port + 1) : port;
    }
  }
  return undefined;
}

/** MASTER_ADDR and MASTER_PORT, where both are there. */
function namedMaster(env: Environment): Family["master"] {
  if (!isSet(env, "MASTER_ADDR")) return undefined;
  const port = portOf(env, "MASTER_PORT");
  return port === undefined ? undefined : { host: hostOf(env, "MASTER_ADDR"), port };
}

function restartsOf(env: Environment): number {
  return (
    optionalCount(env, "SRPO_RESTARTS") ?? optionalCount(env, "TORCHELASTIC_RESTART_COUNT") ?? 0
  );
}

function torchrun(env: Environment): Family | undefined {
  if (!isSet(env, "RANK") && !isSet(env, "WORLD_SIZE")) return undefined;
  const at = rankOf(env, "RANK", "WORLD_SIZE");
  const master = namedMaster(env);
  if (master === undefined && at.size > 1)
    refuse(
      `${isSet(env, "MASTER_ADDR") ? "MASTER_PORT" : "MASTER_ADDR"}: expected where rank 0 is met ` +
        `because WORLD_SIZE=${at.size}, got none`,
    );
  return {
    name: "torchrun",
    variables: { rank: "RANK", size: "WORLD_SIZE" },
    ...at,
    ...localOf(env, at, {
      rank: "LOCAL_RANK",
      size: "LOCAL_WORLD_SIZE",
      node: "GROUP_RANK",
      nodes: "GROUP_WORLD_SIZE",
    }),
    master,
    restarts: restartsOf(env),
  };
}

function openmpi(env: Environment): Family | undefined {
  const [rank, size] = ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"] as const;
  if (!isSet(env, rank) && !isSet(env, size)) return undefined;
  const at = rankOf(env, rank, size);
  return {
    name: "openmpi",
    variables: { rank, size },
    ...at,
    ...localOf(env, at, {
      rank: "OMPI_COMM_WORLD_LOCAL_RANK",
      size: "OMPI_COMM_WORLD_LOCAL_SIZE",
    }),
    master: namedMaster(env),
    restarts: restartsOf(env),
  };
}

function mpich(env: Environment): Family | undefined {
  if (!isSet(env, "PMI_RANK") && !isSet(env, "PMI_SIZE")) return undefined;
  const at = rankOf(env, "PMI_RANK", "PMI_SIZE");
  return {
    name: "mpich",
    variables: { rank: "PMI_RANK", size: "PMI_SIZE" },
    ...at,
    ...localOf(env, at, { rank: "MPI_LOCALRANKID", size: "MPI_LOCALNRANKS" }),
    master: namedMaster(env),
    restarts: restartsOf(env),
  };
}

/** "2(x3),1": how many tasks each node has, of the node asked for. */
function tasksOn(env: Environment, name: string, node: number): number | undefined {
  const text = env[name] ?? "";
  if (text === "") return undefined;
  let passed = 0;
  for (const part of text.slice(0, 1 << 20).split(",")) {
    const found = /^(\d{1,6})(?:\(x(\d{1,6})\))?$/.exec(part);
    if (found === null)
      refuse(`${name}: expected tasks a node as 2(x3),1, got ${JSON.stringify(text.slice(0, 60))}`);
    passed += Number(found[2] ?? 1);
    if (node < passed) return Number(found[1]);
  }
  return refuse(`${name}: expected at least ${node + 1} nodes, got ${passed}`);
}

/** In Slurm, but not as one of srun's tasks: the shell of salloc or the script of sbatch. */
function refuseWithoutSrun(env: Environment): void {
  const tasks = optionalCount(env, "SLURM_NTASKS") ?? 1;
  if (tasks > 1)
    refuse(
      `SLURM_NTASKS=${tasks} without ${isSet(env, "SLURM_PROCID") ? "SLURM_STEP_ID" : "SLURM_PROCID"}: ` +
        `this is the job's script, not one of its tasks; start it by srun`,
    );
}

function slurm(env: Environment, alone: boolean): Family | undefined {
  // The script of sbatch has no step, the shell of salloc one of a number above all others.
  const step = ["SLURM_STEP_ID", "SLURM_STEPID"].some((name) => /^\d{1,9}$/.test(env[name] ?? ""));
  if (!isSet(env, "SLURM_PROCID") || !step) {
    // What another launcher started within an allocation is that launcher's.
    if (alone) refuseWithoutSrun(env);
    return undefined;
  }
  const tasks = isSet(env, "SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  const at = rankOf(env, "SLURM_PROCID", tasks);
  const listed = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"].find((name) =>
    isSet(env, name),
  );
  const hosts = listed === undefined ? undefined : expandNodeList(env[listed]!, listed);
  const nodes = hosts?.length ?? optionalCount(env, "SLURM_NNODES") ?? 1;
  const node = optionalCount(env, "SLURM_NODEID") ?? 0;
  if (node >= nodes)
    refuse(
      `SLURM_NODEID: expected below the ${nodes} nodes of ${listed ?? "SLURM_NNODES"}, got ${node}`,
    );
  const localSize =
    tasksOn(env, "SLURM_STEP_TASKS_PER_NODE", node) ??
    tasksOn(env, "SLURM_TASKS_PER_NODE", node) ??
    Math.ceil(at.size / nodes);
  const localRank = optionalCount(env, "SLURM_LOCALID") ?? at.rank % localSize;
  if (localRank >= localSize || localSize > at.size)
    refuse(
      `SLURM_LOCALID: expected below the ${localSize} tasks of this node, of ${at.size} in all, got ${localRank}`,
    );
  return {
    name: "slurm",
    variables: { rank: "SLURM_PROCID", size: tasks },
    ...at,
    localRank,
    localSize,
    node,
    nodes,
    master: namedMaster(env) ?? slurmMaster(env, hosts),
    restarts: optionalCount(env, "SRPO_RESTARTS") ?? optionalCount(env, "SLURM_RESTART_COUNT") ?? 0,
  };
}

/** The first host, and a port that jobs on one machine do not share. */
function slurmMaster(env: Environment, hosts: readonly string[] | undefined): Family["master"] {
  const [host] = hosts ?? [];
  if (host === undefined) return undefined;
  const job = optionalCount(env, "SLURM_JOB_ID", 999_999_999) ?? 0;
  const step = optionalCount(env, "SLURM_STEP_ID", 999_999_999) ?? 0;
  return { host, port: portOf(env, "MASTER_PORT") ?? 12_000 + ((job * 7 + step) % 20_000) };
}

/** The launchers whose variables are set, the innermost first. */
export function readLaunchers(env: Environment): Family[] {
  const inner = [torchrun(env), openmpi(env), mpich(env)].filter((found) => found !== undefined);
  const outer = slurm(env, inner.length === 0);
  return outer === undefined ? inner : [...inner, outer];
}
