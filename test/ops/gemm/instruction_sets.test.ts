// The tests of this family once more under each instruction set that this machine has beneath its
// best one: the choice is made once a process, so each runs in a process of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { suite } from "uvu";

const test = suite("gemm under other instruction sets");

for (const set of ["generic", "avx2", "avx512", "avx512_bf16"])
  for (const file of ["linear", "matmul", "mlp"])
    test(`${file} under ${set}`, async () => {
      const path = fileURLToPath(new URL(`./${file}.test.js`, import.meta.url));
      const env = { ...process.env, SRPO_ISA: set, SRPO_TEST_DEVICES: "cpu" };
      const { stdout } = await promisify(execFile)(process.execPath, [path], { env });
      assert.match(stdout, /Passed/);
    });

test.run();
