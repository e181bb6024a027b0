// A rank is killed at a random moment, of a start, a step, a save: nothing is lost and nobody hangs.
//
//   node dist/test/ranks/kill.test.js 50      more moments than `npm test` has time for
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { isComplete, verifyManifest } from "../../ts/checkpoint/folder.js";
import { uniforms } from "../support/index.js";
import { at, checkpointsOf, microFolder, type Running } from "../support/cli.js";
import { hasMpirun } from "../support/mpirun.js";
import { assertSameState, rankTraining, startOn, succeedOn } from "../support/rank_runs.js";

const kills = Number(process.argv[2] ?? 5);
const ranks = 2;
const steps = 6 + 2 * kills; // more than the kills leave time for
const wholeMs = 60_000 + 2000 * steps;
const limitMs = 10_000;
const tests = suite("kill -9 of a rank");
const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);

/** The processes that mpirun has started and that live. */
function ranksOf({ process: mpirun }: Running): number[] {
  const children = `/proc/${mpirun.pid}/task/${mpirun.pid}/children`;
  if (!existsSync(children)) return [];
  return readFileSync(children, "utf8").split(" ").filter(Boolean).map(Number);
}

const lives = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/**
 * Kills a rank some time after the job has begun, or after it has said where it writes.
 *
 * @returns milliseconds until all were gone; undefined if the run was over before
 */
async function killOne(
  running: Running,
  { afterMs, rank, begun }: { afterMs: number; rank: number; begun: boolean },
): Promise<number | undefined> {
  const said = () => running.soFar.stderr.includes("run folder");
  if (begun) while (!said() && running.process.exitCode === null) await sleep(5);
  await Promise.race([running.ended, sleep(afterMs)]);
  const pids = ranksOf(running);
  if (pids.length < ranks) {
    running.process.kill("SIGKILL");
    await running.ended;
    return undefined;
  }
  const from = performance.now();
  process.kill(pids[rank]!, "SIGKILL");
  while (pids.some(lives) || lives(running.process.pid!)) {
    await sleep(10);
    if (performance.now() - from > limitMs) {
      for (const pid of pids.filter(lives)) process.kill(pid, "SIGKILL");
      assert.fail(`ranks live ${limitMs} ms after one was killed: ${running.soFar.stderr}`);
    }
  }
  const { code } = await running.ended;
  assert.notEqual(code, 0);
  return performance.now() - from;
}

test(`${kills} kills of one of ${ranks} ranks and as many resumes are the run that nobody killed`, async () => {
  await microFolder();
  const options = [
    "--steps",
    `${steps}`,
    "--save-every",
    "1",
    "--keep",
    "2",
    "--ema",
    "0.9",
    "--zero",
    "2",
  ];
  await succeedOn(ranks, rankTraining("whole", ...options), wholeMs);
  const first = rankTraining("killed", ...options);
  const again = ["train", "--resume", at("killed")];
  let done = 0;
  let killed = 0;
  let halves = 0;
  const tookMs: number[] = [];
  for (const [i, random] of uniforms(kills, 5, 0, 1).entries()) {
    const begun = i % 4 !== 3;
    const took = await killOne(
      startOn(ranks, existsSync(at("killed/config.yaml")) ? again : first),
      { afterMs: random * (begun ? 3000 : 2000), rank: i % ranks, begun },
    );
    if (took !== undefined) tookMs.push(took);
    killed += took === undefined ? 0 : 1;
    if (!existsSync(at("killed/checkpoints"))) continue;
    const names = checkpointsOf("killed");
    halves += names.some((name) => name.includes(".tmp-")) ? 1 : 0;
    const complete = [];
    for (const name of names.filter((one) => /^step-\d{6}$/.test(one))) {
      const place = at("killed/checkpoints", name);
      // One that is being removed has made way under another name first.
      assert.ok(await isComplete(place), `${name} is whole`);
      await verifyManifest(place);
      complete.push(Number(name.slice(5)));
    }
    const now = Math.max(0, ...complete);
    assert.ok(now >= done, `step ${now} after ${done}`);
    done = now;
  }
  assert.ok(killed >= 0.6 * kills, `${killed} kills`);
  if (done < steps) await succeedOn(ranks, again, wholeMs);
  assertSameState("whole", "killed", steps);
  assert.deepEqual(checkpointsOf("killed"), checkpointsOf("whole"), "and nothing half stays");
  assert.ok(readdirSync(at("killed/logs")).length === ranks);
  const longest = Math.max(...tookMs).toFixed(0);
  console.log(
    `${killed} kills, ${halves} of them within a save; all gone within ${longest} ms; reached step ${done} of ${steps}`,
  );
});

tests.run();
