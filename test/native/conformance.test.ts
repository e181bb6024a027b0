// cuda/common itself, emulated: each wrapper against its definition, and the defects that kernels have
// (a missing wait, a wrong parity, a lost barrier, ...) planted and caught, each under several schedules.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { emulatedPath } from "../../ts/native/load.js";

const program = path.join(path.dirname(emulatedPath), "srpo_conformance");
const test = suite("conformance of cuda/common");

if (existsSync(program)) {
  const { stdout, stderr, status, signal } = spawnSync(program, ["--seeds", "5"], {
    encoding: "utf8",
  });
  for (const [, verdict, name, why] of stdout.matchAll(
    /^(ok {2}|FAIL) ((?:defect: )?[^:\n]+)(.*)$/gm,
  ))
    test(name!, () => assert.equal(verdict, "ok  ", why));
  test("the program ends by itself", () => {
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
    assert.match(stdout, /^\d+ passed, 0 failed$/m);
  });
} else {
  test.skip("not built: npm run build:emulated", () => {});
}

test.run();
