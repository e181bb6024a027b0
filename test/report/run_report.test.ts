// The page of a run is made of the run's folder alone; here of one that no trainer wrote.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { encodePng } from "../../ts/data/png.js";
import { runReport, writeRunReport } from "../../ts/report/run_report.js";
import { asTyped, keepOrigin, originOf, readOrigin } from "../../ts/train/origin.js";
import { assertStandsAlone, assertWellFormed } from "../support/pages.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-report-"));
process.once("exit", () => {
  rmSync(folder, { recursive: true, force: true });
});
const at = (...names: string[]) => path.join(folder, ...names);

test.before.each(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(at("samples"), { recursive: true });
  writeFileSync(at("config.yaml"), "method: srpo\nsteps: 30\nprompts: <b>&'\"\n");
});

test("a whole run: curves, eight of many grids, options, command", async () => {
  const rows = Array.from({ length: 30 }, (_, i) => ({
    step: i + 1,
    "denoise/reward": i,
    seconds: 0.5,
  }));
  writeFileSync(at("metrics.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const png = encodePng({ width: 2, height: 2, rgb: new Uint8Array(12) });
  for (let step = 0; step <= 30; ++step)
    writeFileSync(at("samples", `step-${String(step).padStart(6, "0")}.png`), png);
  await keepOrigin(folder, originOf(["train", "--prompts", "a <b> 'c'"]));
  const text = readFileSync(await writeRunReport(folder), "utf8");
  assertWellFormed(text);
  assertStandsAlone(text);
  assert.equal(text.match(/<img /g)?.length, 8);
  assert.match(text, /before the first update/);
  assert.match(text, /after 30 updates/);
  assert.match(text, /srpo, 30 of 30 updates, 15\.0 seconds of training/);
  assert.match(text, /srpo-native train --prompts &#39;a &lt;b&gt;/);
  assert.equal(text, runReport(folder));
});

test("a run that was stopped before anything: still a page", () => {
  const text = runReport(folder);
  assertWellFormed(text);
  assert.match(text, /srpo, 0 of 30 updates/);
});

test("a metrics row that a crash cut short is left out", () => {
  writeFileSync(at("metrics.jsonl"), '{"step":1,"loss":1}\n{"step":2,"lo');
  assert.match(runReport(folder), /1 of 30 updates/);
});

test("what is no run is refused by name", () => {
  writeFileSync(at("config.yaml"), "a: [");
  assert.throws(() => runReport(folder), {
    code: "ERR_CONFIG",
    message: /config\.yaml: expected YAML/,
  });
});

test("a run keeps the origin that it began with", async () => {
  assert.equal(readOrigin(folder), undefined);
  await keepOrigin(folder, originOf(["train"]));
  await keepOrigin(folder, originOf(["train", "--resume", "x"]));
  assert.equal(readOrigin(folder)?.command, "srpo-native train");
  assert.equal(asTyped(["a b", "it's", "--x=1"]), `'a b' 'it'\\''s' --x=1`);
});

test.run();
