// `launch`: what its ranks are told, where they log, and that they end together.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { at, bin, fails, start, temporary, type Ended, type Running } from "../support/cli.js";
import { child, hasMpirun } from "../support/mpirun.js";

const tests = suite("launch");
const test = (name: string, fn: () => Promise<void>, there = true) => {
  if (there) tests(name, fn);
  else tests.skip(name, () => {});
};

let runs = 0;
interface Launched extends Running {
  logs: string;
}

function launch(
  ranks: number,
  engine: "mpi" | "nccl",
  words: readonly string[],
  ...flags: string[]
): Launched {
  const logs = at(`logs-${++runs}`);
  const args = [
    "launch",
    "--ranks",
    `${ranks}`,
    "--engine",
    engine,
    "--logs",
    logs,
    ...flags,
    "--",
  ];
  return { ...start([...args, ...child("ranks/launch_child", ...words)]), logs };
}
const log = (logs: string, rank: number) =>
  readFileSync(path.join(logs, `rank-000${rank}.log`), "utf8");

/** Waits for words of rank 0's, or of another's log. */
async function until(running: Launched, rank: number, words: RegExp): Promise<void> {
  for (let tries = 0; tries < 500; ++tries) {
    const file = path.join(running.logs, `rank-000${rank}.log`);
    if (existsSync(file) && words.test(readFileSync(file, "utf8"))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`rank ${rank} never said ${words}: ${running.soFar.stdout}${running.soFar.stderr}`);
}

/** How many processes of these words there are. */
function alive(words: string): number {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(words);
    } catch {
      return false;
    }
  }).length;
}

async function timed(running: Launched): Promise<Ended & { seconds: number }> {
  const began = performance.now();
  return { ...(await running.ended), seconds: (performance.now() - began) / 1000 };
}

tests("ranks of GPUs get torchrun's variables; the first is shown, the others log", async () => {
  const running = launch(3, "nccl", ["a word", "--flag=x"]);
  const { code, stdout, stderr } = await running.ended;
  assert.equal(code, 0, stderr);
  const line = (rank: number) =>
    `rank ${rank} restarts 0 size 3 local ${rank} node 0 master 127.0.0.1 token 32 words ["a word","--flag=x"]\n`;
  assert.equal(stdout, line(0));
  for (const rank of [0, 1, 2]) assert.equal(log(running.logs, rank), line(rank));
});

tests("the second of two nodes has the second half of the ranks", async () => {
  const flags = ["--nodes", "2", "--node-rank", "1", "--master", "10.1.2.3:4567"];
  const running = launch(2, "nccl", [], ...flags);
  assert.equal((await running.ended).code, 0);
  assert.match(
    log(running.logs, 3),
    /^rank 3 restarts 0 size 4 local 1 node 1 master 10.1.2.3 token undefined/,
  );
});

test(
  "ranks without GPUs are mpirun's",
  async () => {
    const running = launch(3, "mpi", []);
    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^rank 0 restarts 0 .*\n$/);
    assert.match(log(running.logs, 2), /^rank 2 restarts 0 /);
  },
  hasMpirun,
);

for (const engine of ["nccl", "mpi"] as const) {
  const there = engine === "nccl" || hasMpirun;
  test(
    `${engine}: the first failure ends all within ten seconds, even those that will not`,
    async () => {
      const mark = `mark-${engine}-${process.pid}`;
      const { code, stderr, seconds } = await timed(launch(3, engine, ["fail", "1", "9", mark]));
      assert.equal(code, 3);
      assert.ok(seconds < 10, `${seconds} s`);
      assert.match(
        stderr,
        engine === "mpi"
          ? /launch: mpirun ended with exit code 3/
          : /launch: rank 1 ended with exit code 3/,
      );
      assert.equal(alive(mark), 0);
    },
    there,
  );

  test(
    `${engine}: what failed is started again, as often as it is allowed to`,
    async () => {
      const good = launch(2, engine, ["fail", "1", "1"], "--restarts", "2");
      const { code, stderr } = await good.ended;
      assert.equal(code, 0, stderr);
      assert.match(stderr, /launch: starting again, 1 of 2/);
      assert.match(log(good.logs, 1), /restarts 0 [^]*restarts 1 /);
    },
    there,
  );

  test(
    `${engine}: Ctrl-C reaches every rank once; a second ends those that go on`,
    async () => {
      const polite = launch(2, engine, ["wait"], "--restarts", "3");
      for (const rank of [0, 1]) await until(polite, rank, /rank/);
      polite.process.kill("SIGINT");
      const ended = await polite.ended;
      assert.equal(ended.code, 130, ended.stderr);
      assert.ok(!/starting again/.test(ended.stderr));
      for (const rank of [0, 1]) assert.equal(log(polite.logs, rank).match(/saves/g)?.length, 1);

      const mark = `stubborn-${engine}-${process.pid}`;
      const stubborn = launch(2, engine, ["wait", "stubborn", mark]);
      for (const rank of [0, 1]) await until(stubborn, rank, /rank/);
      stubborn.process.kill("SIGINT");
      for (const rank of [0, 1]) await until(stubborn, rank, /saves/);
      stubborn.process.kill("SIGINT");
      assert.equal((await stubborn.ended).code, 130);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.equal(alive(mark), 0);
    },
    there,
  );
}

test(
  "a launch that is killed takes its ranks with it",
  async () => {
    const logs = at("logs-killed");
    const mark = `${process.pid}00`; // the time-out of these ranks, in seconds: their mark
    const args = [
      "launch",
      "--ranks",
      "2",
      "--logs",
      logs,
      "--",
      ...child("ranks/loss_child", mark),
    ];
    const running = { ...start(args), logs };
    for (const rank of [0, 1]) await until(running, rank, /is process/);
    running.process.kill("SIGKILL");
    for (let tries = 0; tries < 50 && alive(`loss_child.js\0${mark}`) > 0; ++tries)
      await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(alive(`loss_child.js\0${mark}`), 0);
    assert.match(
      log(logs, 1),
      /launch, process \d+, is gone|rank 0 at 127.0.0.1 was lost|launch, process/,
    );
  },
  hasMpirun,
);

tests("a program that is not there is named", async () => {
  const logs = at("logs-missing");
  const { code, stderr } = await start([
    "launch",
    "--ranks",
    "1",
    "--engine",
    "nccl",
    "--logs",
    logs,
    "--",
    "/no/such/program",
  ]).ended;
  assert.equal(code, 127);
  assert.match(stderr, /rank 0: spawn \/no\/such\/program ENOENT/);
});

for (const [words, args] of [
  [/ranks: expected a number, got none/, ["--", "train"]],
  [/launch: expected a command after --/, ["--ranks", "2"]],
  [
    /master: expected HOST:PORT of node 0 with --nodes 2, got none/,
    ["--ranks", "2", "--nodes", "2", "--engine", "nccl", "--", "x"],
  ],
  [
    /node-rank: expected below --nodes 2, got 2/,
    ["--ranks", "2", "--nodes", "2", "--node-rank", "2", "--", "x"],
  ],
  [/master: expected HOST:PORT, got "host"/, ["--ranks", "2", "--master", "host", "--", "x"]],
  [/master: expected HOST:PORT, got "a b:1"/, ["--ranks", "2", "--master", "a b:1", "--", "x"]],
  [
    /nodes: ranks without GPUs are started over several machines by mpirun --hostfile/,
    ["--ranks", "2", "--nodes", "2", "--master", "a:1", "--", "train"],
  ],
  [/restarts: expected train --out DIR/, ["--ranks", "2", "--restarts", "1", "--", "train"]],
] as const)
  tests(`refused: ${args.join(" ")}`, async () => {
    await fails(2, words, ["launch", ...args]);
  });

tests("without mpirun: what to install", async () => {
  const ended = spawnSync(process.execPath, [bin, "launch", "--ranks", "2", "--", "train"], {
    cwd: temporary,
    encoding: "utf8",
    env: { ...process.env, PATH: path.join(packageRoot, "no-such-folder") },
  });
  assert.equal(ended.status, 1);
  assert.match(ended.stderr, /mpirun was not found.*apt-get install openmpi-bin/);
});

tests.run();
