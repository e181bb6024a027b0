// Checkpoints that are written while training goes on.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import type { FolderWriter } from "../../ts/checkpoint/folder_writer.js";
import type { Communicator } from "../../ts/ranks/communicator.js";
import { Ranks } from "../../ts/train/ranks.js";
import { Saver } from "../../ts/train/saver.js";

const root = mkdtempSync(path.join(os.tmpdir(), "srpo-saver-"));
const test = suite("Saver");
test.after(() => rmSync(root, { recursive: true, force: true }));

/** Something that ends when it is told to. */
function gate(): { open: () => void; fail: (error: Error) => void; passed: Promise<void> } {
  let open!: () => void;
  let fail!: (error: Error) => void;
  const passed = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  passed.catch(() => undefined); // it may fail before anyone waits
  return { open, fail, passed };
}

const holding =
  (text: string, passed: Promise<void>) => async () => async (folder: FolderWriter) => {
    await folder.bytes("text", text);
    await passed;
  };
const nothing = () => Promise.resolve();

test("a save returns when it has what is to be written; the next one waits for it", async () => {
  const saver = new Saver(Ranks.solo());
  const [a, b] = [path.join(root, "a"), path.join(root, "b")];
  const slow = gate();
  const told: string[] = [];
  await saver.save(a, holding("first", slow.passed), async () => void told.push("a"));
  await saver.settle(); // between two updates: it is still being written
  assert.ok(!existsSync(a));
  const second = saver.save(b, holding("second", Promise.resolve()), async () => {
    told.push("b");
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(told, []);
  slow.open();
  await second;
  assert.equal(readFileSync(path.join(a, "text"), "utf8"), "first");
  await saver.finish();
  assert.equal(readFileSync(path.join(b, "text"), "utf8"), "second");
  assert.deepEqual(told, ["a", "b"]);
});

test("what goes wrong is said between updates or at the end, and leaves nothing", async () => {
  const saver = new Saver(Ranks.solo());
  const place = path.join(root, "failed");
  for (const when of ["settle", "finish", "save"] as const) {
    const slow = gate();
    await saver.save(place, holding("half", slow.passed), nothing);
    slow.fail(new Error("no more room"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const next = () =>
      when === "save" ? saver.save(place, holding("", Promise.resolve()), nothing) : saver[when]();
    await assert.rejects(next, {
      code: "ERR_CHECKPOINT",
      message: /failed: write: .*no more room/,
    });
  }
  assert.ok(!readdirSync(root).some((name) => name.startsWith("failed")), "nothing stays");
  await saver.save(place, holding("whole", Promise.resolve()), nothing);
  await saver.finish();
  assert.equal(readFileSync(path.join(place, "text"), "utf8"), "whole");
});

test("what cannot be taken out of the device leaves nothing either", async () => {
  const saver = new Saver(Ranks.solo());
  const refused = () => Promise.reject(new Error("out of memory"));
  await assert.rejects(saver.save(path.join(root, "none"), refused, nothing), /out of memory/);
  assert.ok(!readdirSync(root).some((name) => name.startsWith("none")));
  await saver.finish();
});

/** Ranks of one process: what each gives is there for all once all have given it. */
function ranksTogether(size: number): Ranks[] {
  let given: unknown[] = [];
  let waiting: ((all: unknown[]) => void)[] = [];
  const give = (rank: number, mine: unknown) =>
    new Promise<unknown[]>((resolve) => {
      given[rank] = mine;
      if (waiting.push(resolve) < size) return;
      const [all, told] = [given, waiting];
      [given, waiting] = [[], []];
      for (const tell of told) tell(all);
    });
  return Array.from({ length: size }, (_, rank) => {
    const ranks = Ranks.of({ rank, size } as Communicator, "cpu");
    return Object.assign(ranks, {
      gather: (async (mine) => (await give(rank, mine)) as never) satisfies Ranks["gather"],
    });
  });
}

test("when one rank cannot write, the folder goes once the others have stopped writing", async () => {
  const place = path.join(root, "several");
  const savers = ranksTogether(2).map((ranks) => new Saver(ranks));
  const ofPlace = () => readdirSync(root).filter((name) => name.startsWith("several"));
  const slow = gate();
  // The first rank's files go on after the second has failed.
  const first = () => async (folder: FolderWriter) => {
    await slow.passed;
    await folder.bytes("state/first", "late");
  };
  const second = () => () => Promise.reject(new Error("no more room"));
  await Promise.all(
    savers.map((saver, rank) =>
      saver.save(
        place,
        async () => await Promise.resolve(rank === 0 ? first() : second()),
        nothing,
      ),
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  const settled = savers.map((saver) =>
    assert.rejects(saver.settle(), { message: /no more room/ }),
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(ofPlace().length, 1);
  slow.open();
  await Promise.all(settled);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(ofPlace(), []);
});

test.run();
