import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { hasProgram } from "./card.js";
import { conformance } from "./conformance.js";
import { inParallel, resultOf, runCall, type Ended, type StepResult } from "./step.js";

/** Where the steps run. */
export interface Place {
  root: string;
  build: string;
  out: string;
  /** "cuda:0", or "emulated" in a dry run. */
  device: string;
  /** Small, and with what is built already: whether the script is right. */
  dry: boolean;
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

/** Ours, as a user calls it. */
function command(place: Place, args: readonly string[], limit: number): Promise<Ended> {
  return call(place, process.execPath, ["bin/srpo-native.js", ...args], limit);
}

/** A folder for what steps leave to be read by this script, and nobody else. */
function scratch(place: Place, name: string): string {
  const folder = place.dry ? path.join(place.out, "scratch") : place.build;
  mkdirSync(folder, { recursive: true });
  return path.join(folder, name);
}

function readIfThere(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // not there, or cut off by what ended its writer
  }
}

async function build(place: Place, limit: number): Promise<StepResult> {
  if (place.dry)
    return resultOf(
      "build",
      await call(place, process.execPath, ["bin/build-native.mjs", "--emulated"], limit),
    );
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
  if (place.dry) return resultOf("conformance-build", await call(place, "true", [], limit));
  const targets = ["srpo_conformance", "srpo_conformance_cuda"];
  const args = ["--build", place.build, "--target", ...targets, "-j", String(place.cores)];
  return resultOf("conformance-build", await call(place, "cmake", args, limit));
}

/** Loads the addon and makes one tensor on the card: what every later step needs. */
async function device(place: Place, limit: number): Promise<StepResult> {
  const script = `
    const device = "${place.device}";
    const { hasDevice } = await import("./dist/ts/tensor/device.js");
    const { randn } = await import("./dist/ts/ops/index.js");
    const { native } = await import("./dist/ts/native/binding.js");
    console.log(native.cudaText());
    if (!hasDevice(device)) process.exit(1);
    const it = randn([1000], { seed: 1n, purpose: 0, step: 0, sample: 0, device });
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
  const save = scratch(place, "tests.json");
  const jobs = String(Math.max(1, Math.min(8, place.cores >> 1)));
  const options = ["--jobs", jobs, "--limit", "60", "--save", save];
  const files = place.dry
    ? place.tests.filter((file) => file.includes("elementwise/add.test"))
    : place.tests;
  const ended = await call(place, process.execPath, ["test/run.mjs", ...options, ...files], limit);
  return resultOf("tests", ended, readIfThere(save));
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
  const runs = (
    place.dry ? fixtures.filter((name) => /rope|scheduler/.test(name)) : fixtures
  ).flatMap((fixture) =>
    (fixture.includes("srpo-step") ? ["f32"] : ["f32", "bf16"]).map((precision) => ({
      fixture,
      precision,
    })),
  );
  const rows = await inParallel(runs, 4, async ({ fixture, precision }): Promise<Golden> => {
    const left = limit - (performance.now() - started) / 1000;
    const row = { fixture, precision };
    if (left < 2) return { ...row, ok: false, seconds: 0, said: "no time was left" };
    const words = ["verify", fixture, "--device", place.device, "--precision", precision];
    const ended = await command(place, words, Math.min(60, left));
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

// A step of the micro model that an emulation does in seconds.
const small =
  "--height 16 --width 16 --batch 1 --micro-batch 1 --rollout-steps 1 --sample-every 0 --eval-every 0".split(
    " ",
  );

/** The micro preset as a user trains it. */
async function train(place: Place, limit: number): Promise<StepResult> {
  const run = scratch(place, `train-${process.pid}`);
  const words = ["train", "--preset", "micro", "--model", "assets/micro", "--device", place.device];
  const size = place.dry ? ["--steps", "1", ...small] : ["--steps", "2", "--eval-every", "0"];
  return resultOf("train", await command(place, [...words, ...size, "--out", run], limit));
}

interface Family {
  /** Words of cases' names. */
  filter: string;
  /** Seconds. */
  limit: number;
  options?: readonly string[];
}

interface FamilyResult {
  filter: string;
  ended: string;
  run: unknown;
}

/** What `bench` printed last, if it is no result: an error that ended it. */
const lastLines = (output: string): string => output.split("\n").slice(-6).join("\n").slice(-800);

/**
 * A process a family, so that a kernel that faults leaves the other families' figures, and of its own those
 * that it had.
 */
async function benches(
  name: string,
  place: Place,
  limit: number,
  families: readonly Family[],
): Promise<StepResult> {
  const started = performance.now();
  const details: FamilyResult[] = [];
  let whole = 0;
  let measured = 0;
  for (const { filter, limit: most, options = [] } of families) {
    // Nobody waits for a dry run's families.
    const mine = place.dry ? Infinity : most;
    const left = Math.min(mine, limit - (performance.now() - started) / 1000);
    if (left < 5) {
      details.push({ filter, ended: "no time was left", run: undefined });
      continue;
    }
    const save = scratch(place, `${name}-${filter.replaceAll(/\W+/g, "_")}.json`);
    const budget = ["--budget", String(Math.max(1, Math.floor(left - 5)))];
    const rounds = place.dry ? ["--rounds", "1", "--round-ms", "1"] : ["--rounds", "3"];
    const words = ["bench", filter, "--device", place.device, "--python", place.python];
    const ended = await command(
      place,
      [...words, "--save", save, ...budget, ...rounds, ...options],
      left,
    );
    const run = readIfThere(save) as { results?: { microseconds?: unknown }[] } | undefined;
    measured += (run?.results ?? []).filter((row) => row.microseconds !== undefined).length;
    const passed = ended.exit === 0;
    if (passed) ++whole;
    const said = ended.timedOut ? "timed out" : `exit ${ended.exit}, ${lastLines(ended.output)}`;
    details.push({ filter, ended: passed ? "passed" : said, run });
  }
  return {
    name,
    outcome: whole === families.length && measured > 0 ? "passed" : "failed",
    seconds: (performance.now() - started) / 1000,
    tail: `${measured} lines measured, ${whole} of ${families.length} families whole`,
    details,
  };
}

const eager = ["--no-compile"];

/** Kernels at FLUX's shapes, torch's own beside them: cuBLAS, cuDNN, its fused kernels. */
const kernels = (place: Place, limit: number): Promise<StepResult> =>
  benches("kernels", place, limit, [
    { filter: "linear", limit: 30, options: eager },
    { filter: "attention", limit: 20, options: eager },
    { filter: "conv2d", limit: 25, options: eager },
    {
      filter: "modulatedLayerNorm,qkvNormRope,qkvProjection,recover,resize,groupNorm",
      limit: 30,
      options: eager,
    },
    { filter: "adamwStep,globalNorm", limit: 25, options: eager },
  ]);

/** A block of each kind, the whole transformer, VAE, reward and the SRPO step, of random weights. */
const models = (place: Place, limit: number): Promise<StepResult> =>
  benches("models", place, limit, [
    { filter: "flux double,flux single", limit: 25, options: eager },
    { filter: "vae,reward", limit: 25, options: eager },
    // The whole transformer; its name has both numbers of blocks.
    { filter: " blocks ", limit: 35, options: eager },
    { filter: "SRPO step", limit: 45, options: ["--against", "none"] },
  ]);

/** The same where torch.compile has something to fuse: minutes of compiling, so the last of all. */
const compiled = (place: Place, limit: number): Promise<StepResult> =>
  benches("compiled", place, limit, [
    { filter: "modulatedLayerNorm,qkvNormRope", limit: 60, options: ["--compile"] },
    { filter: "gelu-tanh,gate residual", limit: 120, options: ["--compile"] },
    { filter: "groupNorm,reward,flux double,flux single", limit: 120, options: ["--compile"] },
  ]);

/** Where a step's time goes: timelines of the micro model's and, on a card, of FLUX's own. */
async function profile(place: Place, limit: number): Promise<StepResult> {
  const trace = path.join(place.out, "profile-micro.json");
  const words = ["profile", "--device", place.device, "--trace", trace, "--json"];
  const ended = await command(
    place,
    [...words, ...(place.dry ? ["--first", "0", ...small] : [])],
    limit / 2,
  );
  const table = ended.output.split("\n").find((line) => line.startsWith("{"));
  const details: Record<string, unknown> = {
    micro: table === undefined ? undefined : (JSON.parse(table) as unknown),
  };
  const result = resultOf("profile", ended, details);
  if (ended.exit !== 0) return result;
  const step = path.join(place.out, "profile-step.json");
  const options = ["--against", "none", "--rounds", "1", "--round-ms", "1", "--trace", step];
  const again = await command(
    place,
    ["bench", "SRPO step", "--device", place.device, ...options],
    Math.max(5, limit - ended.seconds),
  );
  return { ...resultOf("profile", again, details), seconds: ended.seconds + again.seconds };
}

async function sanitizer(place: Place, limit: number): Promise<StepResult> {
  const name = "sanitizer";
  if (place.dry || !hasProgram("compute-sanitizer"))
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

/** All steps in their order; a run's budget ends it where they take more together. */
export const steps: readonly Step[] = [
  { name: "build", limit: 220, needs: [], run: build },
  { name: "device", limit: 30, needs: ["build"], run: device },
  { name: "conformance-build", limit: 60, needs: ["build"], run: buildConformance },
  {
    name: "conformance",
    limit: 50,
    needs: ["build", "conformance-build"],
    run: (place, limit) => conformance(place, limit),
  },
  { name: "tests", limit: 100, needs: ["build", "device"], run: tests },
  { name: "goldens", limit: 60, needs: ["build", "device"], run: goldens },
  { name: "train", limit: 30, needs: ["build", "device"], run: train },
  { name: "kernels", limit: 110, needs: ["build", "device"], run: kernels },
  { name: "models", limit: 100, needs: ["build", "device"], run: models },
  { name: "profile", limit: 60, needs: ["build", "device"], run: profile },
  { name: "sanitizer", limit: 40, needs: ["build", "device", "conformance-build"], run: sanitizer },
  { name: "compiled", limit: 300, needs: ["build", "device"], run: compiled },
];

export const stepNames: readonly string[] = steps.map(({ name }) => name);
