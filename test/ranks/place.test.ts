// Forty launcher environments: what each family says, mixtures, contradictions, hostile values.
import assert from "node:assert/strict";
import { test } from "uvu";
import { readPlace, type RankPlace } from "../../ts/ranks/place.js";

type Environment = Record<string, string>;
type Said = Partial<RankPlace>;

const torchrun: Environment = {
  RANK: "5",
  WORLD_SIZE: "16",
  LOCAL_RANK: "1",
  LOCAL_WORLD_SIZE: "4",
  GROUP_RANK: "1",
  GROUP_WORLD_SIZE: "4",
  MASTER_ADDR: "10.0.0.1",
  MASTER_PORT: "29500",
};
const openmpi: Environment = {
  OMPI_COMM_WORLD_RANK: "3",
  OMPI_COMM_WORLD_SIZE: "4",
  OMPI_COMM_WORLD_LOCAL_RANK: "3",
  OMPI_COMM_WORLD_LOCAL_SIZE: "4",
  OMPI_COMM_WORLD_NODE_RANK: "3",
};
const mpich: Environment = {
  PMI_RANK: "1",
  PMI_SIZE: "2",
  MPI_LOCALRANKID: "1",
  MPI_LOCALNRANKS: "2",
};
const slurm: Environment = {
  SLURM_JOB_ID: "4711",
  SLURM_STEP_ID: "0",
  SLURM_PROCID: "9",
  SLURM_NTASKS: "12",
  SLURM_LOCALID: "1",
  SLURM_NODEID: "2",
  SLURM_JOB_NODELIST: "gpu[07-09]",
  SLURM_TASKS_PER_NODE: "4(x3)",
};
const batch: Environment = {
  SLURM_JOB_ID: "4711",
  SLURM_NTASKS: "12",
  SLURM_JOB_NODELIST: "gpu[07-09]",
};
const without = (env: Environment, ...names: string[]) =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

const read: readonly (readonly [name: string, env: Environment, said: Said])[] = [
  ["nothing", {}, { rank: 0, size: 1, launcher: "solo", nodes: 1, restarts: 0 }],
  ["set to nothing", { RANK: "", WORLD_SIZE: "", SLURM_NTASKS: "" }, { size: 1, launcher: "solo" }],
  [
    "torchrun",
    torchrun,
    {
      rank: 5,
      size: 16,
      localRank: 1,
      localSize: 4,
      node: 1,
      nodes: 4,
      master: { host: "10.0.0.1", port: 29500 },
      launcher: "torchrun",
    },
  ],
  [
    "torchrun, one rank, no master",
    { RANK: "0", WORLD_SIZE: "1" },
    { size: 1, launcher: "torchrun" },
  ],
  [
    "a Kubernetes job: no local variables",
    { RANK: "1", WORLD_SIZE: "4", MASTER_ADDR: "job-0.job", MASTER_PORT: "23456" },
    { rank: 1, localRank: 0, localSize: 1, node: 1, nodes: 4 },
  ],
  [
    "torchrun whose agent has the port",
    { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: "True" },
    { master: { host: "10.0.0.1", port: 29501 } },
  ],
  [
    "a port of our own",
    { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: "True", SRPO_MASTER_PORT: "4000" },
    { master: { host: "10.0.0.1", port: 4000 } },
  ],
  ["torchrun, third start", { ...torchrun, TORCHELASTIC_RESTART_COUNT: "2" }, { restarts: 2 }],
  [
    "an IPv6 master",
    { ...torchrun, MASTER_ADDR: "fd00::1" },
    { master: { host: "fd00::1", port: 29500 } },
  ],
  [
    "our launch",
    { ...torchrun, SRPO_LAUNCH: "1", SRPO_RESTARTS: "1" },
    { launcher: "launch", restarts: 1, rank: 5 },
  ],
  [
    "Open MPI",
    openmpi,
    {
      rank: 3,
      size: 4,
      localRank: 3,
      localSize: 4,
      node: 0,
      nodes: 1,
      launcher: "openmpi",
      master: { host: "127.0.0.1", port: 0 },
    },
  ],
  [
    "Open MPI on two nodes",
    { ...openmpi, OMPI_COMM_WORLD_LOCAL_RANK: "1", OMPI_COMM_WORLD_LOCAL_SIZE: "2" },
    { localRank: 1, localSize: 2, node: 1, nodes: 2 },
  ],
  [
    "Open MPI with a master for NCCL",
    { ...openmpi, MASTER_ADDR: "node-a", MASTER_PORT: "1234" },
    { master: { host: "node-a", port: 1234 } },
  ],
  ["our launch over Open MPI", { ...openmpi, SRPO_LAUNCH: "1" }, { launcher: "launch", rank: 3 }],
  ["MPICH", mpich, { rank: 1, size: 2, localRank: 1, localSize: 2, launcher: "mpich" }],
  [
    "MPICH without local variables",
    { PMI_RANK: "1", PMI_SIZE: "2" },
    { localRank: 0, localSize: 1, nodes: 2 },
  ],
  [
    "Slurm",
    slurm,
    {
      rank: 9,
      size: 12,
      localRank: 1,
      localSize: 4,
      node: 2,
      nodes: 3,
      master: { host: "gpu07", port: 12_000 + ((4711 * 7) % 20_000) },
      launcher: "slurm",
    },
  ],
  [
    "Slurm, a step on fewer nodes",
    { ...slurm, SLURM_STEP_NODELIST: "gpu[08-10]" },
    { nodes: 3, master: { host: "gpu08", port: 12_000 + ((4711 * 7) % 20_000) } },
  ],
  ["Slurm, uneven nodes", { ...slurm, SLURM_TASKS_PER_NODE: "5,4,3" }, { localSize: 3 }],
  ["Slurm, a job that was requeued", { ...slurm, SLURM_RESTART_COUNT: "1" }, { restarts: 1 }],
  [
    "Slurm with a port",
    { ...slurm, MASTER_PORT: "29400" },
    { master: { host: "gpu07", port: 29400 } },
  ],
  [
    "the script of sbatch, one task",
    { ...batch, SLURM_NTASKS: "1" },
    { size: 1, launcher: "solo" },
  ],
  [
    "mpirun within sbatch",
    { ...batch, ...openmpi, SLURM_PROCID: "0" },
    { rank: 3, size: 4, launcher: "openmpi" },
  ],
  [
    "torchrun started by srun, once a node",
    {
      ...torchrun,
      ...slurm,
      SLURM_PROCID: "1",
      SLURM_NTASKS: "4",
      SLURM_NODEID: "1",
      SLURM_LOCALID: "0",
      SLURM_TASKS_PER_NODE: "1(x4)",
      SLURM_JOB_NODELIST: "a[1-4]",
    },
    { rank: 5, size: 16, localRank: 1, launcher: "torchrun", node: 1 },
  ],
  [
    "srun with PMI that agrees",
    { ...slurm, PMI_RANK: "9", PMI_SIZE: "12", MPI_LOCALRANKID: "1", MPI_LOCALNRANKS: "4" },
    { rank: 9, launcher: "mpich", master: { host: "gpu07", port: 12_000 + ((4711 * 7) % 20_000) } },
  ],
];

const refused: readonly (readonly [name: string, env: Environment, words: RegExp])[] = [
  [
    "RANK alone",
    { RANK: "0" },
    /^ranks: WORLD_SIZE: expected a number because RANK is set, got none$/,
  ],
  ["WORLD_SIZE alone", { WORLD_SIZE: "2" }, /^ranks: RANK: .*WORLD_SIZE/],
  [
    "a rank of its size",
    { ...torchrun, RANK: "16" },
    /^ranks: RANK: expected below WORLD_SIZE=16, got 16$/,
  ],
  ["no ranks at all", { RANK: "0", WORLD_SIZE: "0" }, /WORLD_SIZE: expected at least 1/],
  [
    "a negative rank",
    { ...torchrun, RANK: "-1" },
    /RANK: expected a number up to 1000000, got "-1"/,
  ],
  ["a rank that is no number", { ...torchrun, RANK: "1e3" }, /RANK: expected a number/],
  [
    "a million ranks and one",
    { ...torchrun, WORLD_SIZE: "1000001" },
    /WORLD_SIZE: expected a number up to 1000000/,
  ],
  [
    "no master",
    without(torchrun, "MASTER_ADDR"),
    /MASTER_ADDR: expected where rank 0 is met because WORLD_SIZE=16/,
  ],
  ["no port", without(torchrun, "MASTER_PORT"), /MASTER_PORT: expected/],
  [
    "a port too high",
    { ...torchrun, MASTER_PORT: "65536" },
    /MASTER_PORT: expected a number up to 65535/,
  ],
  ["port 0", { ...torchrun, MASTER_PORT: "0" }, /MASTER_PORT: expected 1 to 65535, got 0/],
  [
    "a master that is a command",
    { ...torchrun, MASTER_ADDR: "$(id)" },
    /MASTER_ADDR: expected a host or address/,
  ],
  [
    "a master of a megabyte",
    { ...torchrun, MASTER_ADDR: "a".repeat(1 << 20) },
    /MASTER_ADDR: expected a host.{1,100}$/,
  ],
  [
    "a local rank of its size",
    { ...torchrun, LOCAL_RANK: "4" },
    /LOCAL_RANK: expected below LOCAL_WORLD_SIZE=4, got 4/,
  ],
  [
    "more here than in all",
    { ...torchrun, LOCAL_WORLD_SIZE: "17" },
    /LOCAL_WORLD_SIZE: expected 1 to the number of ranks, 16/,
  ],
  [
    "a node of the nodes' number",
    { ...torchrun, GROUP_RANK: "4" },
    /GROUP_RANK: expected below GROUP_WORLD_SIZE=4/,
  ],
  [
    "Open MPI's rank alone",
    { OMPI_COMM_WORLD_RANK: "0" },
    /OMPI_COMM_WORLD_SIZE: expected a number because OMPI_COMM_WORLD_RANK/,
  ],
  ["PMI's size alone", { PMI_SIZE: "2" }, /PMI_RANK: expected/],
  [
    "two launchers that disagree",
    { ...torchrun, ...openmpi },
    /^ranks: expected one launcher, got two that disagree: RANK=5 of WORLD_SIZE=16, OMPI_COMM_WORLD_RANK=3 of OMPI_COMM_WORLD_SIZE=4; unset/,
  ],
  [
    "torchrun's left-overs within srun",
    { ...torchrun, ...slurm },
    /RANK=5 of WORLD_SIZE=16, SLURM_PROCID=9 of SLURM_NTASKS=12/,
  ],
  [
    "the script of sbatch",
    batch,
    /SLURM_NTASKS=12 without SLURM_PROCID: this is the job's script.*srun/,
  ],
  [
    "the script of sbatch as task 0",
    { ...batch, SLURM_PROCID: "0" },
    /SLURM_NTASKS=12 without SLURM_STEP_ID.*srun/,
  ],
  ["the shell of salloc", { ...slurm, SLURM_PROCID: "0", SLURM_STEP_ID: "4294967290" }, /srun/],
  [
    "a task beyond the tasks",
    { ...slurm, SLURM_PROCID: "12" },
    /SLURM_PROCID: expected below SLURM_NTASKS=12/,
  ],
  [
    "a node beyond the list",
    { ...slurm, SLURM_NODEID: "3" },
    /SLURM_NODEID: expected below the 3 nodes of SLURM_JOB_NODELIST/,
  ],
  [
    "tasks a node that are none",
    { ...slurm, SLURM_TASKS_PER_NODE: "4(x" },
    /SLURM_TASKS_PER_NODE: expected tasks a node/,
  ],
  [
    "tasks of fewer nodes",
    { ...slurm, SLURM_TASKS_PER_NODE: "6(x2)" },
    /SLURM_TASKS_PER_NODE: expected at least 3 nodes, got 2/,
  ],
  [
    "a local id beyond its node",
    { ...slurm, SLURM_LOCALID: "4" },
    /SLURM_LOCALID: expected below the 4 tasks/,
  ],
  [
    "a node list of a billion",
    { ...slurm, SLURM_JOB_NODELIST: "n[1-999999999]" },
    /SLURM_JOB_NODELIST: expected at most 100000 hosts/,
  ],
  [
    "restarts that are no number",
    { ...torchrun, SRPO_RESTARTS: "two" },
    /SRPO_RESTARTS: expected a number/,
  ],
];

for (const [name, env, said] of read)
  test(`reads ${name}`, () => {
    const place = readPlace(env, "this-host");
    assert.equal(place.host, "this-host");
    for (const [key, value] of Object.entries(said))
      assert.deepEqual(place[key as keyof RankPlace], value, key);
  });

for (const [name, env, words] of refused)
  test(`refuses ${name}`, () => {
    assert.throws(() => readPlace(env), { code: "ERR_CONFIG", message: words });
  });

test("every rank of a job agrees on all but itself", () => {
  for (let rank = 0; rank < 12; ++rank) {
    const place = readPlace({
      ...slurm,
      SLURM_PROCID: `${rank}`,
      SLURM_LOCALID: `${rank % 4}`,
      SLURM_NODEID: `${Math.floor(rank / 4)}`,
    });
    assert.equal(place.node * place.localSize + place.localRank, rank);
    assert.equal(place.master.host, "gpu07");
  }
});

test.run();
