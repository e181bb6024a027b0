// Collectives beside the device's own work, over MPI; nccl.test.ts has the same over NCCL's stand-in. Skipped where
// mpirun is not.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import { hasDevice } from "../../ts/tensor/device.js";
import { child, hasMpirun, startRanks } from "../support/mpirun.js";

const tests = suite("collectives aside");

for (const [ranks, device] of [
  [1, "cpu"],
  [2, "cpu"],
  [3, "cpu"],
  [2, "emulated"],
] as const) {
  const name = `${ranks} ranks on ${device}`;
  if (!hasMpirun || !hasDevice(device)) {
    tests.skip(name, () => {});
    continue;
  }
  tests(name, async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-aside-"));
    const env = { SRPO_ENGINE: "mpi" }; // one rank alone too
    const command = child("ranks/aside_child", device, folder);
    const { code, stdout, stderr } = await startRanks(ranks, command, { env }).ended;
    rmSync(folder, { recursive: true, force: true });
    assert.equal(code, 0, stderr);
    assert.equal([...stdout.matchAll(/is right/g)].length, ranks);
  });
}

tests.run();
