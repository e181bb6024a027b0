// `bench ranks`: the collectives between processes, beside a copy.
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { BenchRun } from "../../bench/main.js";
import { succeed } from "../support/cli.js";
import { hasMpirun } from "../support/mpirun.js";

const tests = suite("bench ranks");
const name = "every collective has a line: time, rate and share of a copy";
const fn = async () => {
  const { stdout } = await succeed(
    "bench",
    "ranks",
    "--against",
    "none",
    "--rounds",
    "1",
    "--json",
  );
  const { results } = JSON.parse(stdout) as BenchRun;
  for (const op of ["allReduce", "reduceScatter", "allGather"])
    for (const dtype of ["float32", "bfloat16"]) {
      const found = results.find((one) => one.name.startsWith(`${op}  ${dtype}  64 MiB  ranks=2`));
      assert.ok(found!.gigabytesPerSecond! > 0 && found!.copy!.ratio > 0, `${op} ${dtype}`);
    }
  const word = results.find((one) => one.name.startsWith("allReduce  float32  4 bytes"));
  assert.equal(word!.copy, undefined);
};
if (hasMpirun) tests(name, fn);
else tests.skip(name, () => {});
tests.run();
