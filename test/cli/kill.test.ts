// A run that is killed at random moments, of a step, of a save, of a start, and resumed each time.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { uniforms } from "../support/index.js";
import {
  assertSameRun,
  at,
  checkpointsOf,
  microFolder,
  start,
  succeed,
  training,
} from "../support/cli.js";

const kills = 12;
const steps = 20; // more than the kills leave time for
const test = suite("kill -9 while training");

const options = ["--steps", `${steps}`, "--save-every", "1", "--keep", "2", "--sample-every", "10"];

/** Kills a run some time after it has said where it writes; whether it was still running then. */
async function runAndKill(args: readonly string[], afterMs: number): Promise<boolean> {
  const running = start(args);
  await Promise.race([
    running.ended,
    new Promise<void>((resolve) => running.process.stderr!.once("data", () => resolve())),
  ]);
  await Promise.race([running.ended, sleep(afterMs)]);
  running.process.kill("SIGKILL");
  const { signal, code, stderr } = await running.ended;
  assert.ok(signal === "SIGKILL" || code === 0, stderr);
  return signal === "SIGKILL";
}

test(`${kills} kills and as many resumes are the run that nobody killed`, async () => {
  await microFolder();
  await succeed(...training("whole", ...options));
  const first = training("killed", ...options);
  const again = ["train", "--resume", at("killed")];
  let done = 0;
  let killed = 0;
  let halves = 0;
  for (const delay of uniforms(kills, 5, 0, 180)) {
    const alive = await runAndKill(killed === 0 ? first : again, delay);
    killed += alive ? 1 : 0;
    const names = checkpointsOf("killed");
    halves += names.some((name) => name.includes(".tmp-")) ? 1 : 0;
    const complete = names.filter((name) => /^step-\d{6}$/.test(name)).at(-1);
    const now = complete === undefined ? 0 : Number(complete.slice(5));
    assert.ok(now >= done, `step ${now} after ${done}`);
    done = now;
  }
  assert.ok(killed >= 10, `${killed} kills`);
  await succeed(...again);
  assertSameRun("whole", "killed", steps);
  assert.deepEqual(checkpointsOf("killed"), checkpointsOf("whole"), "and nothing half stays");
  assert.deepEqual(readdirSync(at("killed/samples")), readdirSync(at("whole/samples")));
  console.log(`${killed} kills, ${halves} of them within a save`);
});

test.run();
