// Every collective over MPI, on 2, 3 and 4 ranks; skipped where mpirun is not.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { hasDevice } from "../../ts/tensor/device.js";
import { child, hasMpirun, startRanks } from "../support/mpirun.js";

const tests = suite("collectives over MPI");

for (const [ranks, device] of [
  [2, "cpu"],
  [3, "cpu"],
  [4, "cpu"],
  [2, "emulated"],
] as const) {
  const name = `${ranks} ranks on ${device}`;
  if (!hasMpirun || !hasDevice(device)) {
    tests.skip(name, () => {});
    continue;
  }
  tests(name, async () => {
    const { code, stdout, stderr } = await startRanks(
      ranks,
      child("ranks/collectives_child", device),
    ).ended;
    assert.equal(code, 0, stderr);
    assert.equal([...stdout.matchAll(/is right/g)].length, ranks);
  });
}

tests.run();
