// NCCL without a GPU: how its library is found or refused, the calls that are made of it (a stand-in over shared
// memory, built here), and the ranks' meeting by a launcher's variables. The real library's symbols are checked
// where SRPO_NCCL names one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { packageRoot } from "../../ts/native/load.js";
import { freePort } from "../../ts/ranks/free_port.js";
import { engineOf } from "../../ts/ranks/open.js";
import { hasDevice } from "../../ts/tensor/device.js";
import { at, microFolder, start, type Ended } from "../support/cli.js";
import { child, hasMpirun } from "../support/mpirun.js";
import { startProgram } from "../support/running.js";
import { assertSameState, rankTraining, succeedOn } from "../support/rank_runs.js";

const tests = suite("NCCL");
const test = (name: string, there: boolean, fn: () => Promise<void> | void) => {
  if (there) tests(name, fn);
  else tests.skip(name, () => {});
};
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-nccl-"));
const double = path.join(folder, "libnccl.so.2");
spawnSync("cc", [
  "-shared",
  "-fPIC",
  "-O1",
  "-fvisibility=hidden",
  "-o",
  double,
  path.join(packageRoot, "test/ranks/nccl_double.c"),
  "-lrt",
]);
const hasDouble = existsSync(double);

/** What a process of its own says: a library is opened once. */
function say(code: string, env: Record<string, string>): string {
  const module = path.join(packageRoot, "dist/ts/ranks/nccl.js");
  const script = `const nccl = await import(${JSON.stringify(module)});
    try { process.stdout.write(${code}); } catch (error) { process.stdout.write(error.code + " " + error.message); }`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  assert.equal(ended.status, 0, ended.stderr);
  return ended.stdout;
}
const version = "nccl.ncclVersion()";

tests("a library that is not there: what was tried and what to do", () => {
  assert.match(
    say(version, { SRPO_NCCL: "/nowhere/libnccl.so.2" }),
    /^ERR_NCCL nccl: \/nowhere\/libnccl.so.2 does not open: .*SRPO_NCCL/,
  );
});

test("a library that is none, too old, or one that serves", hasDouble, () => {
  const libc = say(version, { SRPO_NCCL: "libc.so.6" });
  assert.equal(libc, "ERR_NCCL nccl: libc.so.6 has no ncclGetVersion");
  assert.equal(
    say(version, { SRPO_NCCL: double, NCCL_DOUBLE_VERSION: "2804" }),
    `ERR_NCCL nccl: expected version 2.14.0 or newer, got 2.8.4 in ${double}`,
  );
  assert.equal(say(version, { SRPO_NCCL: double }), `2.20.0, ${double}`);
});

const real = process.env["SRPO_NCCL"];
test("the real library has all that is called, and makes an id", real !== undefined, () => {
  assert.match(say(version, {}), /^2\.\d+\.\d+, /);
  assert.equal(Buffer.from(say("nccl.newNcclId()", {}), "base64").length, 128);
});

/** Ranks with torchrun's variables. */
async function torchrun(size: number, ...command: string[]) {
  const port = await freePort();
  const ranks = Array.from({ length: size }, async (_, rank) => {
    const [program, ...args] = command;
    return startProgram(program!, args, {
      env: {
        SRPO_NCCL: double,
        SRPO_TOKEN: "the token",
        RANK: `${rank}`,
        WORLD_SIZE: `${size}`,
        LOCAL_RANK: `${rank}`,
        LOCAL_WORLD_SIZE: `${size}`,
        MASTER_ADDR: "127.0.0.1",
        MASTER_PORT: `${port}`,
        NCCL_DOUBLE_SAYS: "1",
      },
    }).ended;
  });
  return Promise.all(ranks);
}

for (const size of [1, 2, 3])
  test(
    `${size} ranks by torchrun's variables: every collective, then a farewell`,
    hasDouble,
    async () => {
      for (const [rank, { code, stdout, stderr }] of (
        await torchrun(size, ...child("ranks/collectives_child", "cpu", "nccl"))
      ).entries()) {
        assert.equal(code, 0, stderr);
        assert.match(stdout, new RegExp(`rank ${rank} of ${size} is right`));
        const said = stderr.split("\n").filter((line) => line.startsWith("double"));
        assert.equal(said[0], `double init ${rank} ${size}`);
        assert.deepEqual(said.slice(-2), [
          `double finalize ${rank} ${size}`,
          `double destroy ${rank} ${size}`,
        ]);
        // Bfloat16 is summed as float32 (7), integers as int32 (2), bytes are gathered (1).
        const calls = new Set(
          said.slice(1, -2).map((line) => line.split(" ").slice(1, 3).join(" ")),
        );
        assert.deepEqual([...calls].toSorted(), [
          "allGather 1",
          "allReduce 2",
          "allReduce 7",
          "broadcast 1",
          "reduceScatter 2",
          "reduceScatter 7",
        ]);
      }
    },
  );

for (const size of [1, 3])
  test(`${size} ranks: collectives beside the device's own work`, hasDouble, async () => {
    const meeting = mkdtempSync(path.join(folder, "aside-"));
    const command = child("ranks/aside_child", "cpu", meeting, "nccl");
    for (const [rank, { code, stdout, stderr }] of (await torchrun(size, ...command)).entries()) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`rank ${rank} of ${size} is right`));
    }
  });

/** Trains on so many ranks, over the stand-in. */
async function trainOver(ranks: number, out: string): Promise<Ended> {
  const words = ["launch", "--ranks", `${ranks}`, "--engine", "nccl", "--logs", at(`logs-${out}`)];
  return start([...words, "--", ...rankTraining(out, "--steps", "4", "--ema", "0.9")], {
    env: { SRPO_ENGINE: "nccl", SRPO_NCCL: double },
  }).ended;
}

test(
  "the whole trainer on 1 and 2 ranks over it: the bits of the same run over MPI",
  hasDouble,
  async () => {
    await microFolder();
    for (const ranks of [1, 2]) {
      const { code, stdout, stderr } = await trainOver(ranks, `nccl-${ranks}`);
      assert.equal(code, 0, stdout + stderr);
    }
    await succeedOn(1, rankTraining("alone", "--steps", "4", "--ema", "0.9"));
    assertSameState("alone", "nccl-1", 4);
    if (!hasMpirun) return;
    await succeedOn(2, rankTraining("mpi-2", "--steps", "4", "--ema", "0.9"));
    assertSameState("mpi-2", "nccl-2", 4);
  },
);

test("one rank on a GPU, over NCCL itself", hasDevice("cuda:0"), async () => {
  const [program, ...args] = child("ranks/collectives_child", "cuda:0", "nccl");
  const env = { ...process.env, RANK: "0", WORLD_SIZE: "1" };
  const ended = spawnSync(program!, args, { encoding: "utf8", env, timeout: 60_000 });
  assert.equal(ended.status, 0, ended.stderr);
  assert.match(ended.stdout, /rank 0 of 1 is right/);
});

tests("an engine that there is not", () => {
  assert.throws(() => engineOf({ SRPO_ENGINE: "gloo" }), {
    code: "ERR_CONFIG",
    message: 'SRPO_ENGINE: expected nccl or mpi, got "gloo"',
  });
  assert.equal(engineOf({ SRPO_ENGINE: "" }), undefined);
});

tests.after(() => rmSync(folder, { recursive: true, force: true }));
tests.run();
