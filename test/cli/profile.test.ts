// `srpo-native profile`: a step of the micro model as a timeline and a table.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import { at, fails, run, succeed } from "../support/cli.js";

const test = suite("cli/profile");
const size = "--height 32 --width 32 --batch 2 --micro-batch 2".split(" ");
const small = [...size, "--rollout-steps", "2"];

interface Event {
  name: string;
  cat?: string;
  ph: string;
  tid: number;
  ts: number;
  dur: number;
  args?: { op?: string };
}

test("every op of the step, in nested stages within the time that passed", async () => {
  const trace = at("deep", "step.json");
  const { stdout } = await succeed("profile", ...small, "--trace", trace, "--json");
  const table = JSON.parse(stdout) as {
    wall: number;
    busy: number;
    covered: number;
    ops: { name: string; share: number }[];
    stages: { name: string; depth: number }[];
  };
  const { traceEvents } = JSON.parse(readFileSync(trace, "utf8")) as { traceEvents: Event[] };
  const complete = traceEvents.filter(({ ph }) => ph === "X");
  const ops = complete.filter(({ cat }) => cat === "op");
  for (const name of ["linearForward", "attentionBackward", "conv2dForward", "adamwStep"])
    assert.ok(
      ops.some((op) => op.name === name),
      name,
    );
  assert.deepEqual(new Set(ops.map(({ name }) => name)), new Set(table.ops.map((op) => op.name)));
  const busy = ops.reduce((sum, { dur }) => sum + dur, 0);
  assert.ok(Math.abs(busy - table.busy) < 1 + 1e-3 * busy, `${busy} and ${table.busy}`);
  assert.ok(busy <= table.wall && table.covered <= 1);
  // On a track two events are apart or one is in the other.
  for (const tid of new Set(complete.map((event) => event.tid))) {
    const open: Event[] = [];
    const track = complete
      .filter((event) => event.tid === tid)
      .toSorted((a, b) => a.ts - b.ts || b.dur - a.dur);
    for (const event of track) {
      while (open.length > 0 && open.at(-1)!.ts + open.at(-1)!.dur <= event.ts + 0.002) open.pop();
      const outer = open.at(-1);
      if (outer !== undefined)
        assert.ok(
          event.ts + event.dur <= outer.ts + outer.dur + 0.002,
          `${event.name} in ${outer.name}`,
        );
      open.push(event);
    }
  }
  const stages = new Set(table.stages.map(({ name }) => name));
  for (const name of ["update *", "rollout", "step *", "transformer", "double_blocks.*"])
    assert.ok(stages.has(name), name);
  for (const name of ["denoise", "inversion", "vae decode", "reward", "backward", "optimizer"])
    assert.ok(stages.has(name), name);
});

test("other methods have their stages too", async () => {
  for (const method of ["refl", "draft-lv"]) {
    const trace = at(`${method}.json`);
    const words = ["profile", "--method", method, ...size, "--rollout-steps", "6", "--first", "0"];
    const { stdout } = await succeed(...words, "--depth", "2", "--trace", trace);
    assert.match(stdout, /\n  rollout +1 x/, method);
    assert.match(stdout, /\n  reward +\d+ x/, method);
  }
});

test("the table to read", async () => {
  const shown = ["--top", "2", "--depth", "1"];
  const { stdout } = await succeed("profile", ...small, "--trace", at("step.json"), ...shown);
  assert.match(stdout, /^op +calls +time +share\n/);
  assert.match(stdout, /\nand \d+ more\n\nupdate \* +1 x .* 100\.0 %\n\nthe device worked .*\n/);
  assert.match(stdout, /\ntimeline: .*step\.json\n$/);
});

test("bad input is refused in a line, before anything is computed", async () => {
  await fails(2, /--updates: expected .*, got "0"/, ["profile", "--updates", "0"]);
  await fails(2, /--timer: expected .*sundial/, ["profile", "--timer", "sundial"]);
  await fails(2, /tarce/, ["profile", "--tarce", "x.json"]);
  await fails(2, /expected one file of options, got b\.yaml too/, ["profile", "a.yaml", "b.yaml"]);
  await fails(2, /resume: expected none here/, ["profile", "--resume", "x"]);
  await fails(1, /write: expected a folder/, ["profile", "--trace", "/dev/null/p.json"]);
  const absent = ["profile", "--device", "cuda:99", "--trace", at("none.json")];
  await fails(1, /device: expected one that is there, got cuda:99/, absent);
  const timed = ["--first", "0", "--timer", "cupti", "--trace", at("none.json")];
  const { code, stderr } = await run("profile", ...small, ...timed);
  assert.equal(code, 2);
  assert.match(stderr, /profile: timer: expected auto or clock on cpu, got cupti/);
  assert.ok(!existsSync(at("none.json")));
});

test.run();
