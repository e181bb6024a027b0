import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { hasProgram } from "./card.js";
import { conformance } from "./conformance.js";
import { inParallel, resultOf, runCall, type Ended, type StepResult } from "./step.js";

/** Where the steps run. */
export interface Place {
  root: string;
  build: string;
  out: string;
  python: string;
  cores: number;
  /** Test files that run on any device, below dist/test. */
  tests: readonly string[];
  env: NodeJS.ProcessEnv;
}

export interface Step {
  name: string;
  /** Seconds. */
  limit: number;
  /** Steps without which this one is skipped. */
  needs: readonly string[];
  run(place: Place, limit: number): Promise<StepResult>;
}

function call(
  place: Place,
  command: string,
  args: readonly string[],
  limit: number,
): Promise<Ended> {
  return runCall({ command, args, cwd: place.root, env: place.env, limit });
}

async function build(place: Place, limit: number): Promise<StepResult> {
  const configured = await call(
    place,
    "cmake",
    ["-S", place.root, "-B", place.build, "-DSRPO_CUDA=ON", "-DCMAKE_BUILD_TYPE=Release"],
    Math.min(60, limit),
  );
  if (configured.exit !== 0) return resultOf("build", configured);
  const args = ["--build", place.build, "--target", "srpo_native", "-j", String(place.cores)];
  return resultOf("build", await call(place, "cmake", args, limit - configured.seconds));
}

async function buildConformance(place: Place, limit: number): Promise<StepResult> {
  const targets = ["srpo_conformance", "srpo_conformance_cuda"];
  const args = ["--build", place.build, "--target", ...targets, "-j", String(place.cores)];
  return resultOf("conformance-build", await call(place, "cmake", args, limit));
}

/** Loads the addon and makes one tensor on the card: what every later step needs. */
async function device(place: Place, limit: number): Promise<StepResult> {
  const script = `
    const { hasDevice, synchronize } = await import("./dist/ts/tensor/device.js");
    const { randn } = await import("./dist/ts/ops/index.js");
    const { native } = await import("./dist/ts/native/binding.js");
    console.log(native.cudaText());
    if (!hasDevice("cuda:0")) process.exit(1);
    const it = randn([1000], { seed: 1n, purpose: 0, step: 0, sample: 0, device: "cuda:0" });
    const there = await it.read();
    const here = await randn([1000], { seed: 1n, purpose: 0, step: 0, sample: 0 }).read();
    const same = Buffer.from(there.buffer).equals(Buffer.from(here.buffer));
    console.log(same ? "1000 random numbers with the cpu's bits" : "random numbers: other bits than the cpu's");
    process.exit(same ? 0 : 1);`;
  return resultOf(
    "device",
    await call(place, process.execPath, ["--input-type=module", "-e", script], limit),
  );
}

async function tests(place: Place, limit: number): Promise<StepResult> {
  const save = path.join(place.build, "tests.json");
  const jobs = String(Math.max(1, Math.min(8, place.cores >> 1)));
  const options = ["--jobs", jobs, "--limit", "60", "--save", save];
  const args = ["test/run.mjs", ...options, ...place.tests];
  const ended = await call(place, process.execPath, args, limit);
  const details: unknown = existsSync(save) ? JSON.parse(readFileSync(save, "utf8")) : undefined;
  return resultOf("tests", ended, details);
}

interface Golden {
  fixture: string;
  precision: string;
  ok: boolean;
  seconds: number;
  said?: string;
}

/** Each fixture a process of its own. */
async function goldens(place: Place, limit: number): Promise<StepResult> {
  const started = performance.now();
  const fixtures = ["assets/fixtures", "test/golden"].flatMap((folder) =>
    existsSync(path.join(place.root, folder))
      ? readdirSync(path.join(place.root, folder))
          .filter((name) => /^[^.]+\.safetensors$/.test(name))
          .map((name) => path.join(folder, name))
      : [],
  );
  // The whole step's fixture holds float32 updates: no device passes it in bf16.
  const runs = fixtures.flatMap((fixture) =>
    (fixture.includes("srpo-step") ? ["f32"] : ["f32", "bf16"]).map((precision) => ({
      fixture,
      precision,
    })),
  );
  const rows = await inParallel(runs, 4, async ({ fixture, precision }): Promise<Golden> => {
    const left = limit - (performance.now() - started) / 1000;
    const row = { fixture, precision };
    if (left < 2) return { ...row, ok: false, seconds: 0, said: "no time was left" };
    const words = ["verify", fixture, "--device", "cuda:0", "--precision", precision];
    const args = ["bin/srpo-native.js", ...words];
    const ended = await call(place, process.execPath, args, Math.min(60, left));
    const said = ended.timedOut ? "timed out" : ended.output.slice(-1500);
    return {
      ...row,
      ok: ended.exit === 0,
      seconds: ended.seconds,
      ...(ended.exit === 0 ? {} : { said }),
    };
  });
  const good = rows.filter((row) => row.ok).length;
  const bad = rows.filter((row) => !row.ok).map((row) => `${row.fixture} ${row.precision}`);
  return {
    name: "goldens",
    outcome: bad.length === 0 && rows.length > 0 ? "passed" : "failed",
    seconds: (performance.now() - started) / 1000,
    tail: `${good} of ${rows.length} passed${bad.length === 0 ? "" : `; failed: ${bad.join(", ")}`}`,
    details: rows,
  };
}

/** The micro preset as a user trains it. */
async function train(place: Place, limit: number): Promise<StepResult> {
  const run = path.join(place.build, `train-${process.pid}`);
  const words = ["train", "--preset", "micro", "--model", "assets/micro", "--device", "cuda:0"];
  const args = ["bin/srpo-native.js", ...words, "--steps", "2", "--out", run];
  return resultOf("train", await call(place, process.execPath, args, limit));
}

/** A process a family, so that a kernel that faults leaves the other families' figures. */
async function benches(place: Place, limit: number): Promise<StepResult> {
  const started = performance.now();
  const families = ["linear", "attention", "modulatedLayerNorm", "groupNorm", "conv2d"];
  const details: { family: string; ended: string; rows: unknown[] }[] = [];
  let failed = 0;
  let measured = 0;
  for (const family of families) {
    const left = limit - (performance.now() - started) / 1000;
    if (left < 3) {
      ++failed;
      details.push({ family, ended: "no time was left", rows: [] });
      continue;
    }
    const args = ["dist/bench/device/kernels.js", family, "--python", place.python];
    const ended = await call(place, process.execPath, args, Math.min(60, left));
    const lines = ended.output.split("\n");
    const rows = lines.filter((line) => line.startsWith("{") && line.endsWith("}"));
    if (ended.exit !== 0) ++failed;
    measured += rows.filter((line) => line.includes('"microseconds"')).length;
    details.push({
      family,
      ended: ended.timedOut
        ? "timed out"
        : ended.exit === 0
          ? "passed"
          : `exit ${ended.exit}, ${lines.slice(-5).join("\n").slice(-600)}`,
      rows: rows.map((line): unknown => JSON.parse(line)),
    });
  }
  return {
    name: "bench",
    outcome: failed === 0 ? "passed" : "failed",
    seconds: (performance.now() - started) / 1000,
    tail: `${measured} kernels measured, ${families.length - failed} of ${families.length} families whole`,
    details,
  };
}

async function sanitizer(place: Place, limit: number): Promise<StepResult> {
  const name = "sanitizer";
  if (!hasProgram("compute-sanitizer"))
    return { name, outcome: "skipped", seconds: 0, tail: "no compute-sanitizer here" };
  const started = performance.now();
  const few = [
    "ops/norm/layer_norm.test.js",
    "ops/gemm/linear.test.js",
    "ops/attention/attention.test.js",
  ].filter((file) => existsSync(path.join(place.root, "dist/test", file)));
  const programs = [
    [path.join(place.build, "Release", "srpo_conformance_cuda")],
    ...few.map((file) => [process.execPath, path.join("dist", "test", file)]),
  ];
  const details = await inParallel(programs, 4, async (program) => {
    const args = ["--tool", "memcheck", "--error-exitcode", "9", ...program];
    const ended = await call(place, "compute-sanitizer", args, limit);
    return {
      program: program.at(-1),
      exit: ended.exit,
      timedOut: ended.timedOut,
      said: ended.output.slice(-1500),
    };
  });
  const bad = details.filter(({ exit }) => exit !== 0);
  return {
    name,
    outcome: bad.length === 0 ? "passed" : "failed",
    seconds: (performance.now() - started) / 1000,
    tail: `${details.length - bad.length} of ${details.length} programs without a complaint`,
    details,
  };
}

/** All steps in their order. Their limits add up to less than nine minutes but for what fails. */
export const steps: readonly Step[] = [
  { name: "build", limit: 200, needs: [], run: build },
  { name: "device", limit: 30, needs: ["build"], run: device },
  { name: "conformance-build", limit: 60, needs: ["build"], run: buildConformance },
  {
    name: "conformance",
    limit: 50,
    needs: ["build", "conformance-build"],
    run: (place, limit) =>
      conformance({ build: place.build, out: place.out, cwd: place.root, env: place.env }, limit),
  },
  { name: "tests", limit: 120, needs: ["build", "device"], run: tests },
  { name: "goldens", limit: 60, needs: ["build", "device"], run: goldens },
  { name: "train", limit: 30, needs: ["build", "device"], run: train },
  { name: "bench", limit: 120, needs: ["build", "device"], run: benches },
  { name: "sanitizer", limit: 40, needs: ["build", "device", "conformance-build"], run: sanitizer },
];

export const stepNames: readonly string[] = steps.map(({ name }) => name);
