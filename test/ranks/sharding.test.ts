// ZeRO-1 and ZeRO-2 on 2 and 4 ranks over MPI: one rank's updates, what they send, and nothing read too early.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { child, hasMpirun, startRanks } from "../support/mpirun.js";

const tests = suite("sharding over MPI");

const test = (name: string, body: () => Promise<void>) =>
  hasMpirun ? tests(name, body) : tests.skip(name, body);

for (const ranks of [2, 4])
  test(`${ranks} ranks`, async () => {
    const { code, stdout, stderr } = await startRanks(ranks, child("ranks/sharding_child")).ended;
    assert.equal(code, 0, stderr);
    assert.equal([...stdout.matchAll(/is right/g)].length, ranks);
  });

tests.run();
