// The demo from the command line, on drawn weights and with tiny budgets: what it prints, its folders, Ctrl-C.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { decodePng } from "../../ts/data/png.js";
import { randomWorld } from "../micro/evaluation/support.js";
import { at, fails, start, succeed } from "../support/cli.js";

const test = suite("demo");
test.before(() => randomWorld(at("world")));

const small = "--model world --batch 1 --prompts 2 --pictures 1 --steps 2 --look-every 0".split(
  " ",
);
const few = [...small, "--updates", "1"];

test("one command: table, sentences, grid; a second run goes beside the first", async () => {
  const { stdout, stderr } = await succeed("demo", ...few);
  assert.match(stdout, /^realism +[\d.]+ % +[\d.]+ % +probability of a photograph/m);
  assert.match(stdout, /^forwards +14 /m); // a rollout of 12 steps, and two branches
  assert.match(stdout, /after 1 updates of SRPO/);
  assert.match(stderr, /1\/1 updates/);
  const grid = decodePng(readFileSync(at("runs/demo/before-after.png")));
  assert.equal(grid.width, 10 + 2 * (2 * 130 + 10));
  const before = statSync(at("runs/demo/report.html")).mtimeMs;

  const second = await succeed("demo", ...few, "--json");
  const json = JSON.parse(second.stdout) as {
    srpo: { figures: object };
    files: { report: string };
  };
  assert.equal(json.files.report, at("runs/demo-2/report.html"));
  assert.ok("realism" in json.srpo.figures);
  assert.equal(statSync(at("runs/demo/report.html")).mtimeMs, before);
});

test("Ctrl-C: how to go on is said, and going on ends it", async () => {
  const running = start(["demo", ...small, "--updates", "200", "--out", "stopped"]);
  while (!running.soFar.stderr.includes("seed 42: 200 updates")) await sleep(5);
  running.process.kill("SIGINT");
  const { code, stderr, stdout } = await running.ended;
  assert.equal(code, 130, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /go on by: srpo-native demo --resume .*stopped/);
  assert.ok(!existsSync(at("stopped/report.html")));
  await fails(2, /resume: expected only resume, threads, json beside it, got seed/, [
    "demo",
    "--resume",
    "stopped",
    "--seed",
    "1",
  ]);
});

test("what cannot be is refused by name", async () => {
  const refused: [RegExp, string[]][] = [
    [
      /model: expected the micro models, got none at .*nowhere.*pretrain micro/,
      ["--model", "nowhere"],
    ],
    [/methods: expected some of base, refl.*got sorpo/, ["--compare", "--methods", "sorpo"]],
    [/out: expected a folder to write to, got a file/, [...few, "--out", "file"]],
    [/out: expected a new or empty.*go on with it by --resume/, [...few, "--out", "runs/demo"]],
  ];
  writeFileSync(at("file"), "");
  for (const [words, args] of refused) await fails(2, words, ["demo", ...args]);
});

test.run();
