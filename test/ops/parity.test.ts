// The columns of the op table, row by row: what one device has, the others have.
import assert from "node:assert/strict";
import { suite } from "uvu";
import { native } from "../../ts/native/binding.js";
import { hasDevice } from "../../ts/tensor/device.js";

const rows = Object.keys(native.opRows("cpu"));

for (const device of ["cpu", "emulated", "cuda:0"] as const) {
  const tests = suite(`rows on ${device}`);
  const there = hasDevice(device) ? native.opRows(device) : undefined;
  for (const row of rows) {
    if (there === undefined) tests.skip(row, () => {});
    else tests(row, () => assert.equal(there[row], true));
  }
  tests.run();
}
