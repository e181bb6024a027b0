// No call of the addon, whatever its arguments, ends the process or hangs: it gives a result, or an error
// with a code. SRPO_FUZZ_SECONDS searches longer, with new seeds.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import { native } from "../../ts/native/binding.js";
import { calls } from "./calls.js";

const test = suite("the native surface");
const child = fileURLToPath(new URL("fuzz_child.js", import.meta.url));
const seconds = Number(process.env["SRPO_FUZZ_SECONDS"] ?? 0);

// Memory that a process may write to: what asks for more is to be refused, not killed.
const mostBytes = 3 * 2 ** 30;

function fuzz(seed: number, rounds: number): void {
  const folder = mkdtempSync(path.join(os.tmpdir(), "srpo-fuzz-"));
  const journal = path.join(folder, "journal.txt");
  const limited = ["-c", `ulimit -d ${mostBytes / 1024}; exec "$@"`, "sh"];
  const done = spawnSync(
    "sh",
    [...limited, process.execPath, child, String(seed), String(rounds), journal],
    {
      encoding: "utf8",
      timeout: 120_000,
      killSignal: "SIGKILL",
      env: { ...process.env, TMPDIR: folder },
    },
  );
  const last = readFileSync(journal, "utf8").trim();
  rmSync(folder, { recursive: true, force: true });
  assert.equal(
    done.signal ?? done.status,
    0,
    `seed ${seed}: ended with ${done.signal ?? done.status} at call ${last}\n${done.stderr.slice(-4000)}`,
  );
  const counts = JSON.parse(done.stdout) as Record<string, number>;
  // Mutations of both kinds: such that are refused, and such that are not noticed or do no harm.
  assert.ok(counts["refused"]! > rounds / 10 && counts["right"]! > rounds / 10, done.stdout);
}

test("every function has its row of arguments", () => {
  // Without arguments, without a meaning here, or meant to end the process or to refuse what comes later.
  const left = new Set("setErrorClass scopeBegin cpuInstructionSet cpuThreads".split(" "));
  for (const name of ["leaveAtOnce", "poolLimit"]) left.add(name);
  const missing = Object.keys(native).filter((name) => !(name in calls) && !left.has(name));
  assert.deepEqual(missing, []);
});

test("wrong arguments give errors with codes", () => fuzz(1, 6000));

if (seconds > 0)
  test("and so for as long as was asked", () => {
    const start = Date.now();
    for (let seed = start % 1e9; Date.now() - start < 1000 * seconds; ++seed) fuzz(seed, 20_000);
  });

test.run();
