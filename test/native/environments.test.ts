// The addon under several JavaScript environments, at the end of a process, and under a collector that
// runs at any time: each in a process of its own, which has to end as it was told to.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";

const test = suite("environments and memory");
const child = fileURLToPath(new URL("environments_child.js", import.meta.url));

/** Runs a part of environments_child; what it wrote. */
function run(part: string, { flags = [] as string[], code = 0, limit = "" } = {}): string {
  const done = spawnSync(
    "sh",
    ["-c", `${limit} exec "$@"`, "sh", process.execPath, ...flags, child, part],
    { encoding: "utf8", timeout: 100_000, killSignal: "SIGKILL" },
  );
  assert.equal(done.signal, null, `${part}: ${done.stderr.slice(-3000)}`);
  assert.equal(done.status, code, `${part}: ${done.stderr.slice(-3000)}`);
  return done.stdout;
}

test("two workers compute and end with work queued, while the main thread computes", () => {
  assert.match(run("workers"), /main 64 correct/u);
});
test("workers that are terminated at any moment leave the main thread alone", () => {
  assert.match(run("terminated"), /main correct/u);
});
test("a worker's failure is its own", () => {
  assert.match(run("failures"), /main correct, worker ERR_RANGE/u);
});
test("an addon that only a worker has loaded goes with it", () => {
  assert.match(run("only worker"), /done/u);
});
test("process.exit() with work queued and a wait open", () => {
  run("exit", { code: 7 });
});
test("the end of the program with work queued and nobody waiting", () => {
  run("fall off");
});
test("an exception inside a scope frees what the scope held", () => {
  assert.match(run("scope"), /in use 0/u);
});
test("the collector frees handles whose work is queued, and nothing is lost or leaked", () => {
  assert.match(run("collector", { flags: ["--expose-gc"] }), /in use 0/u);
});
test("trim and dispose with work queued and a read pending", () => {
  assert.match(run("trim"), /reads correct/u);
});
test("out of memory is an error, after which there is memory again", () => {
  const limit = `ulimit -d ${2 * 2 ** 20};`;
  assert.match(run("memory", { limit }), /refused ERR_OUT_OF_MEMORY, then correct/u);
});

test.run();
