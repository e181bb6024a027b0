// bench/device where there is no GPU: what it refuses and keeps, its limits, and its bundle.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { nvccVersion, parseCard, refusal } from "../../bench/device/card.js";
import { compareDumps, parseDump } from "../../bench/device/dump.js";
import { pack, packages } from "../../bench/device/pack.js";
import { inParallel, resultOf, runCall } from "../../bench/device/step.js";
import { stepNames } from "../../bench/device/steps.js";
import { hasDevice } from "../../ts/tensor/device.js";
import { packageRoot } from "../../ts/native/load.js";
import { at, fails } from "../support/cli.js";

interface Kept {
  finished: boolean;
  steps: { name: string; outcome: string; details?: unknown }[];
}

interface BenchRow {
  name: string;
  microseconds: { median: number };
}

const test = suite("bench/device");
const tools = { nvcc: "13.0", cmake: true };

function device(...args: string[]) {
  const script = path.join(packageRoot, "dist", "bench", "device.js");
  return spawnSync(process.execPath, [script, ...args], { encoding: "utf8", timeout: 60_000 });
}

test("a wrong command line is refused in a line", () => {
  for (const [args, words] of [
    [["--budget", "0"], /^device: --budget: expected 10 to 86400 seconds, got 0\n$/],
    [["--only", "build,nap"], /^device: --only: expected of build, .*; got "nap"\n$/],
    [["--speed"], /^device: .*--speed.*\n$/],
  ] as const) {
    const { status, stderr, stdout } = device(...args);
    assert.equal(status, 2);
    assert.match(stderr, words);
    assert.equal(stdout, "");
  }
});

if (hasDevice("cuda:0")) {
  test.skip("without a GPU", () => {});
} else {
  test("without a GPU it exits with 1, a line and a file that says so", () => {
    const out = at("device");
    // An empty PATH has no nvidia-smi, whatever this machine has.
    const script = path.join(packageRoot, "dist", "bench", "device.js");
    const { status, stderr } = spawnSync(process.execPath, [script, "--out", out], {
      encoding: "utf8",
      env: { ...process.env, PATH: at("nowhere") },
    });
    assert.equal(status, 1);
    assert.match(stderr, /^device: no NVIDIA GPU: expected a Hopper card .*, got none\n$/);
    const [file] = readdirSync(out);
    assert.match(file!, /^no-gpu-\d{4}-\d\d-\d\d\.json$/);
    const kept = JSON.parse(readFileSync(path.join(out, file!), "utf8")) as Record<string, unknown>;
    assert.match(String(kept["refused"]), /no NVIDIA GPU/);
    assert.deepEqual([kept["card"], kept["finished"], kept["steps"]], [null, false, []]);
  });
  test("cuda:0 that is not there is refused by name", async () => {
    await fails(1, /device: expected one that is there, got cuda:0/, [
      "verify",
      "--device",
      "cuda:0",
    ]);
  });
}

test("a dry run goes through every step on the emulated device", () => {
  const out = at("dry");
  const args = ["--dry-run", "--out", out, "--python", at("no-python"), "--budget", "900"];
  const script = path.join(packageRoot, "dist", "bench", "device.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    encoding: "utf8",
    timeout: 900_000,
  });
  assert.equal(status, 0, stdout + stderr);
  const file = readdirSync(out).find((name) => /^dry-run-\d{4}-\d\d-\d\d\.json$/.test(name));
  const kept = JSON.parse(readFileSync(path.join(out, file!), "utf8")) as Kept;
  assert.equal(kept.finished, true);
  const outcomes = new Map(kept.steps.map((step) => [step.name, step.outcome]));
  assert.deepEqual([...outcomes.keys()], [...stepNames]);
  for (const [name, outcome] of outcomes)
    assert.equal(outcome, name === "sanitizer" ? "skipped" : "passed", name);
  // Every parser was fed by what the real programs print.
  const details = (name: string) => kept.steps.find((step) => step.name === name)!.details;
  const cases = details("conformance") as { passed: boolean; sameBytes: boolean }[];
  assert.ok(cases.length > 0 && cases.every((one) => one.passed && one.sameBytes));
  assert.ok((details("tests") as { passed: number }).passed > 0);
  assert.ok((details("goldens") as { ok: boolean }[]).every(({ ok }) => ok));
  for (const name of ["kernels", "models", "compiled"]) {
    const families = details(name) as { ended: string; run: { results: BenchRow[] } }[];
    for (const { ended, run } of families) {
      assert.equal(ended, "passed");
      assert.ok(run.results.length > 0);
      for (const row of run.results) assert.ok(row.microseconds.median > 0, row.name);
    }
  }
  const { micro } = details("profile") as { micro: { ops: { name: string }[] } };
  assert.ok(micro.ops.some(({ name }) => name === "linearForward"));
  for (const name of ["profile-micro.json", "profile-step.json"]) {
    const trace = JSON.parse(readFileSync(path.join(out, name), "utf8")) as {
      traceEvents: { name: string }[];
    };
    assert.ok(trace.traceEvents.some((event) => event.name === "attentionForward"));
  }
});

test("other cards and other tools are refused by name", () => {
  const card = parseCard("NVIDIA H200, 570.86, 9.0, 143771 MiB");
  assert.deepEqual(card, {
    name: "NVIDIA H200",
    driver: "570.86",
    computeCapability: "9.0",
    memory: "143771 MiB",
  });
  assert.equal(refusal(card, tools), undefined);
  const old = parseCard("NVIDIA A100-SXM4-80GB, 570.86, 8.0, 81920 MiB");
  assert.match(refusal(old, tools)!, /expected compute capability 9\.0 .*got NVIDIA A100.* 8\.0/);
  assert.match(refusal(card, { ...tools, nvcc: undefined })!, /^no nvcc/);
  assert.match(refusal(card, { ...tools, nvcc: "12.4" })!, /expected 13 or newer, got 12\.4/);
  assert.match(refusal(card, { ...tools, cmake: false })!, /^no cmake/);
});

if (nvccVersion() === undefined) test.skip("nvcc's version: no nvcc here", () => {});
else test("nvcc's version is read", () => assert.match(nvccVersion()!, /^\d+\.\d+$/));

test("a step that hangs is killed with what it started, and named", async () => {
  const call = { cwd: packageRoot, env: process.env, limit: 0.5 };
  const ended = await runCall({
    ...call,
    command: "sh",
    args: ["-c", "echo begun; sleep 30 & sleep 30"],
  });
  const result = resultOf("hang", ended);
  assert.equal(result.outcome, "timed out");
  assert.match(result.tail, /begun/);
  assert.ok(result.seconds < 10);
  const crash = await runCall({ ...call, command: "sh", args: ["-c", "kill -SEGV $$"], limit: 10 });
  assert.deepEqual(
    [resultOf("crash", crash).outcome, resultOf("crash", crash).signal],
    ["failed", "SIGSEGV"],
  );
  const absent = await runCall({ ...call, command: at("no-such-program"), args: [] });
  assert.equal(resultOf("absent", absent).outcome, "failed");
  assert.deepEqual(await inParallel([3, 1, 2], 2, async (n) => n * n), [9, 1, 4]);
});

test("dumps are compared by bytes, numbers by their difference", () => {
  const dump = (values: number[], integer: number): Buffer =>
    Buffer.concat([
      Buffer.from(`wgmma\t0\t${values.length}\t4\tf\n`),
      Buffer.from(Float32Array.from(values).buffer),
      Buffer.from("wgmma\t1\t1\t4\ti\n"),
      Buffer.from(Int32Array.of(integer).buffer),
    ]);
  const [a, b] = [parseDump(dump([1, 2, 3], 10)), parseDump(dump([1, 2.5, 3], 10))];
  assert.deepEqual(compareDumps(a, a), []);
  assert.deepEqual(compareDumps(a, b), [
    { buffer: "wgmma, buffer 0", different: 1, of: 3, first: 1, largest: 0.5 },
  ]);
  assert.equal(compareDumps(a, parseDump(dump([1, 2, 3], 11)))[0]!.buffer, "wgmma, buffer 1");
  assert.equal(compareDumps(a, a.slice(1)).length, 1);
  assert.throws(() => parseDump(dump([1, 2, 3], 10).subarray(0, 20)), /expected 3 x 4 bytes/);
});

test("the bundle has node, dist and what they need, and no compilers", () => {
  const names = packages(packageRoot);
  for (const name of ["node-addon-api", "node-api-headers", "uvu", "yaml", "yargs"])
    assert.ok(names.includes(path.join("node_modules", name)), name);
  assert.deepEqual(
    names.filter((name) => /typescript|prettier|oxlint|clang|node-gyp|cmake-js/.test(name)),
    [],
  );
  // Node itself takes a minute to compress: something small in its place.
  const folder = at("bundle");
  mkdirSync(folder);
  writeFileSync(at("node"), "#!/bin/sh\n");
  const { bundle, tree } = pack(packageRoot, folder, at("node"));
  // Node comes to 21 MiB, 60 MiB is what may travel.
  assert.ok(bundle + tree < 39 * 2 ** 20, `${bundle} + ${tree} bytes`);
  const { stdout } = spawnSync("tar", ["-tf", path.join(folder, "bundle.tar.xz")], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const files = new Set(stdout.split("\n"));
  for (const file of [
    "bin/node",
    "dist/bench/device.js",
    "dist/bench/main.js",
    "dist/ts/ops/index.js",
    "dist/test/ops/gemm/linear.test.js",
    "node_modules/uvu/package.json",
  ])
    assert.ok(files.has(file), file);
});

test.run();
