import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "uvu";
import { EventFile, frame } from "../../ts/train/tensorboard.js";
import { clock, Progress } from "../../ts/train/progress.js";

test("a record is framed with masked CRC-32C", () => {
  // CRC-32C of "123456789" is e3069283; masked it is ((c >> 15 | c << 17) + a282ead8).
  const framed = frame(Buffer.from("123456789"));
  const crc = 0xe3069283;
  const masked = ((((crc >>> 15) | (crc << 17)) >>> 0) + 0xa282ead8) >>> 0;
  assert.equal(framed.readUInt32LE(framed.length - 4), masked);
  assert.equal(framed.readBigUInt64LE(0), 9n);
});

test("an event file holds its version, scalars and pictures in order", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-events-"));
  try {
    const events = new EventFile(folder);
    events.scalars(3, { "train/reward": 0.5 });
    events.picture(3, "samples", 1, 1, Buffer.from([1, 2, 3]));
    const bytes = readFileSync(events.path);
    const found: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = Number(bytes.readBigUInt64LE(at));
      const data = bytes.subarray(at + 12, at + 12 + length);
      assert.deepEqual(frame(data), bytes.subarray(at, at + length + 16));
      found.push(data.toString("latin1"));
      at += length + 16;
    }
    assert.equal(found.length, 3);
    assert.ok(found[0]!.includes("brain.Event:2"));
    assert.ok(found[1]!.includes("train/reward"));
    assert.ok(found[2]!.includes("samples"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("progress says rate and time left, a plain line where there is no terminal", () => {
  const lines: string[] = [];
  const out = {
    isTTY: false,
    write: (s: string) => lines.push(s),
  } as unknown as NodeJS.WriteStream;
  const progress = new Progress({ unit: "updates", total: 4, out, everyMs: 0 });
  progress.update(1, "reward 0.5");
  progress.update(4);
  progress.end();
  assert.match(lines[0]!, /^1\/4 updates {2}\d+:\d\d gone, \S+ left .* reward 0\.5\n$/);
  assert.match(lines[1]!, /^4\/4 updates .* 0:00 left/);
  assert.equal(clock(3723), "1:02:03");
});

test("a line comes while one update takes long, and none after the end", async () => {
  const lines: string[] = [];
  const out = {
    isTTY: false,
    write: (s: string) => lines.push(s),
  } as unknown as NodeJS.WriteStream;
  const progress = new Progress({ unit: "updates", total: 4, out, everyMs: 20 });
  progress.update(0);
  await new Promise((resolve) => setTimeout(resolve, 150));
  progress.end();
  assert.ok(lines.length >= 3 && lines.every((line) => line.startsWith("0/4 updates")));
  const before = lines.length;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(lines.length, before);
});

test.run();
