// The walls of the house: the linter refuses an import from a room above, and a device that is not there
// is named.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import { native } from "../ts/native/binding.js";
import { packageRoot } from "../ts/native/load.js";

test("an import from a room above is refused by the linter", () => {
  const planted = path.join(packageRoot, "ts", "models", "planted_upward_import.ts");
  const oxlint = path.join(packageRoot, "node_modules", "oxlint", "bin", "oxlint");
  try {
    writeFileSync(planted, 'export { trainConfig } from "../train/config.js";\n');
    const { status, stdout } = spawnSync(process.execPath, [oxlint, planted], {
      cwd: packageRoot,
      encoding: "utf8",
    });
    assert.notEqual(status, 0, stdout);
    assert.match(stdout, /no-restricted-imports/);
  } finally {
    rmSync(planted, { force: true });
  }
});

test("a device that is not there is refused by name", () => {
  assert.throws(() => native.tensorZeros([1], "float32", "cuda:7"), {
    code: "ERR_DEVICE",
    message: /expected one of cpu.*, got cuda:7 \(.+\)$/,
  });
});

test.run();
