// `train` judged by a second reward, and by the judges of a micro folder: killed, resumed, refused.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { uniforms } from "../support/index.js";
import { assertSameRun, at, fails, metricsOf, start, succeed, training } from "../support/cli.js";
import { randomWorld } from "../micro/evaluation/support.js";

const test = suite("train --keep-best");
test.before(() => randomWorld(at("micro")));

const judged = (...more: string[]) => [
  "--eval-reward",
  at("micro/reward"),
  ..."--eval-count 2 --eval-every 1 --keep-best score --sample-every 0".split(" "),
  ..."--save-every 2 --keep 1".split(" "),
  ...more,
];
const best = (name: string) => readlinkSync(at(name, "checkpoints/best"));

test("a second reward: figures in the log and on stderr, the best checkpoint opens under its name", async () => {
  // A learning rate that moves bfloat16 pictures of random weights.
  const { stderr } = await succeed(
    ...training("second", "--steps", "4", "--lr", "1e-3", ...judged()),
  );
  assert.match(stderr, /^step 0: score -?\d\.\d{4}$/m);
  const rows = metricsOf("second") as { step: number; "eval/score"?: number }[];
  const scores = rows.filter((row) => row["eval/score"] !== undefined);
  assert.deepEqual(
    scores.map(({ step }) => step),
    [0, 1, 2, 3, 4],
  );
  const highest = scores.reduce((a, b) => (b["eval/score"]! > a["eval/score"]! ? b : a));
  if (highest.step === 0) assert.match(stderr, /^best: none; /m);
  else {
    assert.equal(best("second"), `step-00000${highest.step}`);
    assert.match(stderr, new RegExp(`^best: step ${highest.step}, score `, "m"));
    const place = at("second/checkpoints/best");
    await succeed("sample", "a lake", "--model", place, "--out", at("drawn"), "--steps", "1");
  }
});

test("killed between updates, evaluations and saves and resumed, it is the run that nobody killed", async () => {
  const options = ["--steps", "8", "--lr", "1e-3", ...judged()];
  await succeed(...training("calm", ...options));
  let killed = 0;
  for (const [i, delay] of uniforms(6, 5, 0, 250).entries()) {
    const running = start(
      i === 0 ? training("shaken", ...options) : ["train", "--resume", at("shaken")],
    );
    const spoken = new Promise<void>((resolve) =>
      running.process.stderr!.once("data", () => resolve()),
    );
    await Promise.race([running.ended, spoken]);
    await Promise.race([running.ended, sleep(delay)]);
    running.process.kill("SIGKILL");
    const { signal, code, stderr } = await running.ended;
    assert.ok(signal === "SIGKILL" || code === 0, stderr);
    killed += signal === "SIGKILL" ? 1 : 0;
    if (existsSync(at("shaken/checkpoints/best")))
      assert.ok(existsSync(at("shaken/checkpoints/best/manifest.json")), "the best is whole");
  }
  assert.ok(killed >= 3, `${killed} kills`);
  await succeed("train", "--resume", at("shaken"));
  assertSameRun("calm", "shaken", 8);
  const names = (name: string) => readdirSync(at(name, "checkpoints")).toSorted();
  assert.deepEqual(names("shaken"), names("calm"));
  if (existsSync(at("calm/checkpoints/best"))) assert.equal(best("shaken"), best("calm"));
});

test("a micro folder's judges, by flags and by YAML; the best is resumed from by its name", async () => {
  const flags = ["--keep-best", "grid8", "--eval-every", "1", "--eval-count", "1"];
  const conditions = ["--keep-if", "alignment>=base-1,hacked<=1", "--patience", "9"];
  const { stderr } = await succeed(
    ...training("told", "--steps", "2", "--lr", "1e-3", ...flags, ...conditions),
  );
  assert.match(
    stderr,
    /^step 1: grid8 \d+\.\d+ {2}alignment \d+\.\d+ {2}hacked \d+\.\d+ {2}realism/m,
  );
  const yaml = readFileSync(at("told/config.yaml"), "utf8");
  assert.match(yaml, /^keepBest: grid8$/m);
  assert.match(yaml, /^keepIf:\n {2}- alignment>=base-1\n {2}- hacked<=1$/m);
  const rows = metricsOf("told") as Record<string, number>[];
  for (const name of ["realism", "style/photo", "finds/colour", "artefacts", "diversity"])
    assert.equal(rows.filter((row) => Number.isFinite(row[`eval/${name}`])).length, 3, name);
  if (existsSync(at("told/checkpoints/best")))
    await succeed("train", "--resume", at("told/checkpoints/best"), "--steps", "3");
});

test("a figure that is not there is refused with those that are", async () => {
  const said = await fails(
    2,
    /keepBest: expected one of realism, alignment, hacked, .*, got realizm; did you mean realism\?/,
    training("never", "--keep-best", "realizm"),
  );
  assert.match(said, /finds\/colour/);
  await fails(
    2,
    /keepBest: expected one of score, got realism/,
    training("never", ...judged(), "--keep-best", "realism").filter(
      (arg, i, all) => !(arg === "score" || (arg === "--keep-best" && all[i + 1] === "score")),
    ),
  );
  await fails(
    2,
    /evalReward: expected a file or a folder, got none at .*; name one by --eval-reward/,
    [...training("never", "--eval-reward", at("nowhere"))],
  );
  await fails(
    2,
    /evalCount: expected at most half of the \d+ prompts to be held out of training, got 300/,
    training("never", "--eval-reward", at("micro/reward"), "--eval-count", "300"),
  );
  assert.ok(!existsSync(at("never")));
});

test.run();
