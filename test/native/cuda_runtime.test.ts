// cuda/runtime on a pretended card (test/cuda/fake): what copies, allocates, complains and fails must do there in the
// order of the stream, and that a step waits for nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { emulatedPath } from "../../ts/native/load.js";

const program = path.join(path.dirname(emulatedPath), "srpo_cuda_runtime");
const test = suite("cuda/runtime on a pretended card");

if (existsSync(program)) {
  const { stdout, stderr, status, signal } = spawnSync(program, [], {
    encoding: "utf8",
    timeout: 120_000,
  });
  for (const [, verdict, name, why] of stdout.matchAll(/^(ok {2}|FAIL) ([^:\n]+)(.*)$/gm))
    test(name!, () => assert.equal(verdict, "ok  ", why));
  test("the program ends by itself", () => {
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
    assert.match(stdout, /^\d+ passed, 0 failed$/m);
  });
} else {
  test.skip("not built: npm run build:emulated", () => {});
}

test.run();
