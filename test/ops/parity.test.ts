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
    // A row that is missing counts as skipped, by its name, until the column is whole.
    if (there !== undefined && (there[row] === true || device === "cpu"))
      tests(row, () => assert.equal(there[row], true));
    else tests.skip(row, () => {});
  }
  const missing = there === undefined ? rows : rows.filter((row) => there[row] !== true);
  if (missing.length > 0) console.log(`not on ${device}: ${missing.join(", ")}`);
  tests.run();
}
