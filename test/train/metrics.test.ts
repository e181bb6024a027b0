import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { MetricsLog, readMetrics } from "../../ts/train/metrics.js";

const test = suite("metrics");
const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-metrics-"));
const file = path.join(folder, "metrics.jsonl");
test.after(() => {
  rmSync(folder, { recursive: true });
});

test("a row is a line at once, and an event", async () => {
  const log = await MetricsLog.open(file, folder, 0);
  log.write({ step: 1, loss: 0.5 });
  assert.equal(readFileSync(file, "utf8"), '{"step":1,"loss":0.5}\n');
  const [events] = readdirSync(folder).filter((name) => name.startsWith("events."));
  assert.ok(readFileSync(path.join(folder, events!), "latin1").includes("loss"));
});

test("a resumed run drops what is beyond it, and a line that was cut short", async () => {
  writeFileSync(
    file,
    '{"step":1,"loss":1}\n{"step":2,"loss":2}\n{"step":3,"loss":3}\n{"step":4,"lo',
  );
  assert.deepEqual(
    readMetrics(file).map(({ step }) => step),
    [1, 2, 3],
  );
  const log = await MetricsLog.open(file, folder, 2);
  log.write({ step: 3, loss: 4 });
  assert.deepEqual(readMetrics(file), [
    { step: 1, loss: 1 },
    { step: 2, loss: 2 },
    { step: 3, loss: 4 },
  ]);
  assert.ok(readdirSync(folder).every((name) => /^(?:metrics\.jsonl|events\..*)$/.test(name)));
});

test.run();
