// ZeRO-1 and ZeRO-2 on 2 and 4 ranks over MPI: one rank's updates, what they send, and nothing read too early.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { hasDevice } from "../../ts/tensor/device.js";
import { child, hasMpirun, startRanks } from "../support/mpirun.js";

const tests = suite("sharding over MPI");

const test = (name: string, there: boolean, body: () => Promise<void>) =>
  hasMpirun && there ? tests(name, body) : tests.skip(name, body);

for (const [ranks, device] of [
  [2, "cpu"],
  [4, "cpu"],
  [2, "emulated"],
] as const)
  test(`${ranks} ranks on ${device}`, hasDevice(device), async () => {
    const command = child("ranks/sharding_child", device);
    const { code, stdout, stderr } = await startRanks(ranks, command, { timeout: 180_000 }).ended;
    assert.equal(code, 0, stderr);
    assert.equal([...stdout.matchAll(/is right/g)].length, ranks);
  });

tests.run();
