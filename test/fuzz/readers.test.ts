// Files that were good once, through every reader: each ends in an answer or in one clear error, within a second,
// in bounded memory, and without a write or a read beside the file.
//
//   SRPO_FUZZ_ROUNDS=100000 node dist/test/fuzz/readers.test.js
//   and with sanitizers: cmake -S . -B build-asan -DSRPO_SANITIZE=ON && cmake --build build-asan, then
//   SRPO_ADDON=build-asan/srpo_native.node LD_PRELOAD=$(g++ -print-file-name=libasan.so) ...
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { Dice, mutated } from "./mutate.js";
import { subjects, type Subject } from "./subjects.js";

const rounds = Number(process.env["SRPO_FUZZ_ROUNDS"] ?? 1600);
const seed = Number(process.env["SRPO_FUZZ_SEED"] ?? 1);
const mostMs = 1000;
// Of the whole process beyond what it began with: the readers' bound is 0.5 GB for one file (pickle.ts).
const mostBytes = 700e6;
const journal = process.env["SRPO_FUZZ_JOURNAL"];

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-fuzz-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
const shares = subjects.reduce((sum, { share }) => sum + share, 0);

/** A refusal as it should be: an error with a code that names the file in one line. */
function assertClear(error: unknown, folder: string, what: string): void {
  const { code, message } = error as { code?: string; message: string };
  const clear =
    code === "ERR_CHECKPOINT" &&
    message.includes(folder) &&
    ["\n", "\r", "\0"].every((c) => !message.includes(c));
  assert.ok(clear && message.length < 6000, `${what}: ${code}: ${(error as Error).stack}`);
}

async function fuzz(subject: Subject, count: number): Promise<{ read: number; slowest: number }> {
  const folder = path.join(root, subject.name);
  mkdirSync(folder);
  subject.prepare(folder);
  const dice = new Dice(seed);
  const result = { read: 0, slowest: 0 };
  for (let round = 0; round < count; ++round) {
    const bytes = mutated(dice.pick(subject.good), subject.pieces, dice);
    const file = path.join(folder, subject.file);
    writeFileSync(file, bytes);
    // What ended the process is in the journal.
    if (journal !== undefined) writeFileSync(journal, bytes);
    const started = process.cpuUsage();
    try {
      await subject.read(folder);
      ++result.read;
    } catch (error) {
      assertClear(error, folder, `${subject.name}, seed ${seed}, round ${round}`);
    }
    // Of the processor: what other processes take does not count.
    const { user, system } = process.cpuUsage(started);
    const ms = (user + system) / 1000;
    result.slowest = Math.max(result.slowest, ms);
    assert.ok(ms < mostMs, `${subject.name}, seed ${seed}, round ${round}: ${ms.toFixed(0)} ms`);
  }
  return result;
}

const test = suite("mutated files");
for (const subject of subjects) {
  const count = Math.ceil((rounds * subject.share) / shares);
  test(`${subject.name}: ${count} of them are read or refused in one line`, async () => {
    // What the mutations start from is good: the search is not one of nothing.
    const folder = path.join(root, `${subject.name}-good`);
    mkdirSync(folder);
    subject.prepare(folder);
    for (const good of subject.good) {
      writeFileSync(path.join(folder, subject.file), good);
      await subject.read(folder);
    }
    const before = process.memoryUsage.rss();
    const { read, slowest } = await fuzz(subject, count);
    const grown = process.resourceUsage().maxRSS * 1024 - before;
    assert.ok(grown < mostBytes, `memory grew by ${(grown / 1e6).toFixed(0)} MB`);
    assert.ok(read < count, "everything was read");
    if (rounds > 10_000)
      console.log(
        `${subject.name}: ${count} files, ${read} read, slowest ${slowest.toFixed(0)} ms, ` +
          `${(grown / 1e6).toFixed(0)} MB at most`,
      );
  });
}
test.run();
