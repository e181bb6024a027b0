import path from "node:path";
import { compare, compareJson } from "../micro/demo/compare.js";
import { tablesOf } from "../micro/demo/compare_page.js";
import { demo } from "../micro/demo/demo.js";
import { openLab, shippedModels, type Lab } from "../micro/demo/lab.js";
import { freshPlace, isDemo, keepOptions, readOptions, requireFree } from "../micro/demo/place.js";
import { armOf, arms, updates as usualUpdates, type Options } from "../micro/demo/settings.js";
import { story } from "../micro/demo/story.js";
import { beforeAfterTable } from "../micro/demo/tables.js";
import { flatFigures } from "../micro/evaluation/figures.js";
import { SrpoError } from "../native/error.js";
import { textTable } from "../report/table.js";
import { flagOf, resolve, type Values } from "../train/schema.js";
import { command } from "./command.js";
import { threads } from "./threads.js";
import { interruptedCode } from "./interrupt.js";

const count = (most: number, fallback: number, help: string) =>
  ({ type: "number", integer: true, min: 1, max: most, default: fallback, help }) as const;

const schema = {
  model: { type: "text", path: true, help: "folder of micro models; default: the shipped ones" },
  out: {
    type: "text",
    path: true,
    help: "folder of the results; default: runs/demo, runs/demo-2, ... or runs/compare",
  },
  resume: { type: "text", path: true, help: "folder of a demo that was stopped, to go on with" },
  seed: {
    type: "seed",
    default: "42",
    help: "of the training; with --compare the first of several",
  },
  updates: count(10_000, usualUpdates, "updates of each run"),
  batch: {
    type: "number",
    integer: true,
    min: 1,
    max: 4096,
    help: "prompts an update; default: each method's own",
  },
  compare: {
    type: "boolean",
    default: false,
    help: "every method and ablation, over several seeds",
  },
  methods: {
    type: "texts",
    default: arms.map(({ name }) => name),
    help: "of --compare, the base model always among them",
  },
  seeds: count(100, 3, "runs of each method of --compare, a seed each"),
  prompts: count(4096, 64, "prompts that a policy is judged on"),
  pictures: count(256, 4, "pictures of each"),
  steps: count(1000, 20, "Euler steps of a picture"),
  split: {
    type: "text",
    default: "reporting",
    choices: ["reporting", "tuning"],
    help: "whose prompts: results are reported on others than settings were tuned on",
  },
  lookEvery: {
    type: "number",
    integer: true,
    min: 0,
    default: 5,
    help: "updates between two points of the curves; 0: none",
  },
  threads,
  json: { type: "boolean", default: false, help: "the figures as JSON on stdout, no table" },
} as const;

type DemoOptions = Values<typeof schema>;

// What may stand beside --resume.
const changeable = new Set(["resume", "threads", "json"]);

/** The options of a call, or of the demo that it goes on with, and where they take it. */
function planned(
  given: DemoOptions,
  said: Readonly<Record<string, unknown>>,
): { options: DemoOptions; place: string } {
  if (given.resume !== undefined) {
    const foreign = Object.keys(said).filter((name) => !changeable.has(name));
    if (foreign.length > 0)
      throw new SrpoError(
        "ERR_CONFIG",
        `resume: expected only ${[...changeable].join(", ")} beside it, got ${foreign.map(flagOf).join(", ")}`,
      );
    const place = path.resolve(given.resume);
    const kept = resolve(schema, [{ name: "demo.json", values: readOptions(place) }]);
    return { options: { ...kept, threads: given.threads, json: given.json }, place };
  }
  const methods = ["base", ...given.methods.filter((name) => name !== "base")];
  const unknown = methods.filter((name) => !arms.some((arm) => arm.name === name));
  if (unknown.length > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `methods: expected some of ${arms.map(({ name }) => name).join(", ")}, got ${unknown.join(", ")}`,
    );
  const model = path.resolve(given.model ?? shippedModels);
  const options = { ...given, model, methods };
  if (given.out === undefined)
    return {
      options,
      place: given.compare
        ? path.resolve("runs", "compare")
        : freshPlace(path.join("runs", "demo")),
    };
  const place = path.resolve(given.out);
  // A comparison is gone on with: what is there is kept by what it was measured with.
  if (!(given.compare && isDemo(place) && readOptions(place)["compare"] === true))
    requireFree(place);
  return { options, place };
}

async function runDemo(lab: Lab, o: DemoOptions, over: Options): Promise<boolean> {
  const outcome = await demo(lab, { seed: o.seed, updates: o.updates, options: over });
  if (outcome === undefined) return false;
  const { base, after, seconds, files } = outcome;
  if (o.json) {
    const of = ({ figures, cost, curve }: typeof base) => ({
      figures: flatFigures(figures),
      cost,
      curve,
    });
    const { origin } = outcome;
    const all = {
      ...origin,
      seed: o.seed,
      updates: o.updates,
      budget: lab.budget,
      base: of(base),
      srpo: of(after),
    };
    process.stdout.write(`${JSON.stringify({ ...all, seconds, files })}\n`);
  } else {
    process.stdout.write(`\n${textTable(beforeAfterTable(base, after))}\n\n`);
    for (const sentence of story(base, after)) process.stdout.write(`${sentence}\n`);
    process.stdout.write(`\npictures  ${files.picture}\nreport    ${files.report}\n`);
  }
  process.stderr.write(`done in ${seconds.toFixed(0)} seconds\n`);
  return true;
}

async function runCompare(lab: Lab, o: DemoOptions, over: Options): Promise<boolean> {
  const comparison = await compare(lab, {
    arms: o.methods.map(armOf),
    seeds: Array.from({ length: o.seeds }, (_, i) => String(BigInt(o.seed) + BigInt(i))),
    updates: o.updates,
    options: over,
  });
  if (comparison === undefined) return false;
  if (o.json) process.stdout.write(`${JSON.stringify(compareJson(comparison))}\n`);
  else
    for (const { heading, table } of tablesOf(comparison))
      process.stdout.write(`\n${heading}\n\n${textTable(table)}\n`);
  process.stderr.write(`\nreport: ${path.join(lab.place, "report.html")}\n`);
  return true;
}

export const demoCommand = command({
  name: "demo",
  summary:
    "SRPO on the micro models, before and after, on this machine: pictures, figures, one page; --compare: beside its rivals",
  schema,
  resolvesItself: true,
  stops: true,
  examples: [
    ["demo", "half a minute to two on two cores; pictures and report.html in runs/demo"],
    ["demo --resume runs/demo", "goes on where that was stopped"],
    ["demo --compare", "all methods and ablations, three seeds each, in runs/compare"],
    ["demo --compare --methods direct-align,srpo --seeds 1 --updates 10", "some of it"],
  ],
  async run(_, { flags, signal }) {
    const { options, place } = planned(resolve(schema, [flags]), flags.values);
    const { model, split, prompts, pictures, steps, lookEvery, threads } = options;
    const budget = { split, prompts, pictures, steps, lookEvery };
    const lab = await openLab({ model: model!, place, budget, threads, signal });
    try {
      const { resume: _resume, json: _json, threads: _threads, out: _out, ...kept } = options;
      await keepOptions(place, kept);
      process.stderr.write(`folder: ${place}\n`);
      const { batch } = options;
      const over: Options = batch === undefined ? {} : { batch, microBatch: batch };
      const done = await (options.compare ? runCompare : runDemo)(lab, options, over);
      if (done) return 0;
      process.stderr.write(`stopped; go on by: srpo-native demo --resume ${place}\n`);
      return interruptedCode(signal);
    } finally {
      lab.world.dispose();
    }
  },
});
