// Several ranks are one: the same numbers drawn, the same losses; and they must be asked the same.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import { at, bin, microFolder } from "../support/cli.js";
import { hasMpirun, startRanks } from "../support/mpirun.js";
import {
  lossDistance,
  rankTraining,
  rowsOf,
  startOn,
  succeedOn,
  withoutClock,
} from "../support/rank_runs.js";

const tests = suite("train on several ranks");
const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);
if (hasMpirun) tests.before(async () => void (await microFolder()));

const steps = 20;
const methods = {
  srpo: ["--ema", "0.9"],
  // Its advantages are divided by the spread of all ranks' rewards.
  "flow-grpo": ["--group-size", "2", "--rollout-steps", "3"],
};
for (const [method, options] of Object.entries(methods))
  test(`${method}: 2 and 4 ranks equal one over ${steps} updates`, async () => {
    const args = ["--method", method, "--steps", `${steps}`, ...options];
    for (const ranks of [1, 2, 4])
      await succeedOn(ranks, rankTraining(`${method}-${ranks}`, ...args));
    const [first] = rowsOf(`${method}-1`);
    for (const ranks of [2, 4]) {
      const run = `${method}-${ranks}`;
      // Before the first update nothing has been summed: what was drawn is the same to the bit.
      const { gradNorm, ...drawn } = withoutClock(first!);
      const { gradNorm: norm, ...same } = withoutClock(rowsOf(run)[0]!);
      assert.ok(Math.abs(norm! - gradNorm!) <= 1e-6 * gradNorm!);
      if (method === "srpo") assert.deepEqual(same, drawn);
      else assert.equal(same["grpo/reward"], drawn["grpo/reward"]);
      const distance = lossDistance(`${method}-1`, run);
      console.log(`${method}, ${ranks} ranks: losses differ by ${distance.toExponential(1)}`);
      assert.ok(distance <= 1e-6, `${distance}`);
      assert.equal(rowsOf(run)[0]!.forwards, first!.forwards, "over all ranks");
    }
  });

test("the first rank writes what a run has once, each its log; rows have rate and waiting times", async () => {
  const run = "srpo-4";
  assert.deepEqual(
    readdirSync(at(run, "logs")).toSorted(),
    [0, 1, 2, 3].map((rank) => `rank-0000${rank}.log`),
  );
  assert.match(readFileSync(at(run, "logs/rank-00003.log"), "utf8"), /rank 3 of 4 on .*\n.*update 1: 1 prompts in/); // prettier-ignore
  for (const row of rowsOf(run)) {
    assert.ok(row["promptsPerSecond"]! > 0);
    for (const rank of [0, 1, 2, 3]) assert.ok(row[`waited/${rank}`]! >= 0);
  }
  assert.ok(existsSync(at(run, "report.html")));
  assert.deepEqual(readdirSync(at(run, "checkpoints")), ["step-000020"]);
  assert.equal(rowsOf(run).length, steps);
});

test("prompts that do not divide are taken as evenly as it goes; a rank may have none", async () => {
  for (const ranks of [1, 4])
    await succeedOn(ranks, rankTraining(`uneven-${ranks}`, "--batch", "3", "--steps", "3"));
  assert.ok(lossDistance("uneven-1", "uneven-4") <= 1e-6);
});

test("samples, a second reward and the best checkpoint: decided by the first, known by all", async () => {
  const options = "--steps 3 --sample-every 1 --eval-every 1 --eval-count 4 --keep-best score";
  const reward = ["--eval-reward", at("micro/reward"), "--patience", "1"];
  for (const ranks of [1, 2])
    await succeedOn(ranks, rankTraining(`judged-${ranks}`, ...options.split(" "), ...reward));
  const [one, two] = [1, 2].map((ranks) => rowsOf(`judged-${ranks}`));
  assert.equal(one!.length, two!.length);
  assert.equal(
    readdirSync(at("judged-1/samples")).length,
    readdirSync(at("judged-2/samples")).length,
  );
});

test("one rank that is asked something else is named, with the option", async () => {
  const flags = rankTraining("other", "--steps", "1");
  const script = `exec ${process.execPath} ${bin} ${flags.join(" ")} --lr $([ $OMPI_COMM_WORLD_RANK = 1 ] && echo 2e-5 || echo 1e-5)`; // prettier-ignore
  const { code, stderr } = await startRanks(2, ["sh", "-c", script]).ended;
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /lr: expected the same --lr on all ranks, got 0\.00002 on rank 1 and 0\.00001 on rank 0/,
  );
  assert.ok(!existsSync(at("other")));
});

test("a rank that cannot write its part ends the save for all: nothing half stays", async () => {
  const flags = rankTraining("part", "--steps", "9", "--save-every", "2").join(" ");
  // The second rank may write no file of more than 64 kB.
  const script = `[ $OMPI_COMM_WORLD_RANK = 1 ] && ulimit -f 128; exec ${process.execPath} ${bin} ${flags}`;
  const { code, stderr } = await startRanks(2, ["sh", "-c", script]).ended;
  assert.notEqual(code, 0);
  assert.match(stderr, /rank 1: .*state-00002-of-00002.*expected room for the file/);
  assert.deepEqual(readdirSync(at("part/checkpoints")), []);
});

test("Ctrl-C ends all ranks after the running step, with a checkpoint", async () => {
  const running = startOn(2, rankTraining("stopped", "--steps", "500"));
  while (!/[1-9]\d*\/500 updates/.test(running.soFar.stderr)) {
    assert.equal(running.process.exitCode, null, running.soFar.stderr);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  running.process.kill("SIGTERM"); // what mpirun hands on
  const { stderr } = await running.ended;
  assert.match(stderr, /ending after the running step/);
  assert.match(stderr, /stopped after \d+ updates: .*step-/);
});

tests.run();
