// Stages of a profile: a tree, also where backward comes back to what forward was in.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { range, rangeAgain, rangePath, recordRanges } from "../../ts/native/ranges.js";
import { Stages } from "../../ts/profile/stages.js";

const test = suite("profile/stages");

/** Stages with a counter for pieces: `work(n)` enqueues n. */
function recorded(): { stages: Stages; work: (n?: number) => void; shown: () => string[] } {
  let pieces = 0;
  const stages = new Stages({ pieces: () => pieces });
  return {
    stages,
    work: (n = 1) => void (pieces += n),
    shown: () =>
      stages.all.map(({ name, depth, from, to }) => `${"  ".repeat(depth)}${name} ${from}-${to}`),
  };
}

test.after.each(() => recordRanges(undefined));

test("without a profile a stage is its function's call", async () => {
  assert.equal(
    range("a", () => 3),
    3,
  );
  assert.equal(await range("a", async () => 4), 4);
  assert.equal(rangePath(), undefined);
  assert.equal(
    rangeAgain(["a"], () => 5),
    5,
  );
  assert.throws(
    () =>
      range("a", () => {
        throw new Error("mine");
      }),
    /mine/,
  );
});

test("stages nest, also over promises and errors", async () => {
  const { stages, work, shown } = recorded();
  recordRanges(stages);
  await range("update", async () => {
    range("first", () => work(2));
    await range("second", async () => {
      await Promise.resolve();
      range("inner", () => work());
    });
    assert.throws(() =>
      range("third", () => {
        work();
        throw new Error("x");
      }),
    );
    await assert.rejects(range("fourth", () => Promise.reject(new Error("y"))));
  });
  assert.deepEqual(shown(), [
    "update 0-4",
    "  first 0-2",
    "  second 2-3",
    "    inner 2-3",
    "  third 3-4",
    "  fourth 4-4",
  ]);
});

test("backward's ops of one stage are one stage, beneath what is open", () => {
  const { stages, work, shown } = recorded();
  recordRanges(stages);
  const paths: string[][] = [];
  range("update", () => {
    range("forward", () => {
      for (const name of ["block.0", "block.1"])
        range(name, () => {
          work();
          paths.push([...rangePath()!]);
        });
    });
    range("backward", () => {
      for (const path of [paths[1], paths[1], paths[0]]) rangeAgain(path, () => work());
      // A recomputed block: stages and a backward of its own.
      rangeAgain(paths[0], () => {
        range("again", () => work());
        const part = range("part", () => rangePath());
        rangeAgain(part, () => work());
        rangeAgain(part, () => work());
      });
    });
    range("optimizer", () => work());
  });
  assert.deepEqual(shown(), [
    "update 0-9",
    "  forward 0-2",
    "    block.0 0-1",
    "    block.1 1-2",
    "  backward 2-8",
    "    forward 2-8",
    "      block.1 2-4",
    "      block.0 4-8",
    "        again 5-6",
    "        part 6-6",
    "        part 6-8",
    "  optimizer 8-9",
  ]);
});

test("what is open is left at the end", () => {
  const { stages, work, shown } = recorded();
  stages.begin("a");
  stages.within(["a", "b"], () => work());
  stages.close();
  stages.end(); // one too many is no error: a stage may begin before the profile does
  assert.deepEqual(shown(), ["a 0-1", "  b 0-1"]);
});

test.run();
