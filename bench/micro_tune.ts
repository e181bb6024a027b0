// Sweeps options of one method of the demo on the `tuning` split, and prints a line a setting: how the table of
// ts/micro/demo/settings.ts is chosen. What was measured is kept in the folder and not measured again.
//
//   node dist/bench/micro_tune.js --method srpo --model pretrained/micro --out runs/tune --updates 20,40 \
//     --try lr=1e-5,3e-5,1e-4 --try 'discountPositive=[2,3],[1,2]' --seeds 1
import path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { runArm } from "../ts/micro/demo/arm.js";
import { openLab, shippedModels } from "../ts/micro/demo/lab.js";
import { armOf, type Options } from "../ts/micro/demo/settings.js";
import { methodTable, type ArmRuns } from "../ts/micro/demo/tables.js";
import { textTable } from "../ts/report/table.js";

const { values } = parseArgs({
  options: {
    method: { type: "string", default: "srpo" },
    model: { type: "string", default: shippedModels },
    out: { type: "string", default: path.join("runs", "tune") },
    updates: { type: "string", default: "30" },
    // NAME=VALUE,VALUE: values as YAML; given several times, every combination is run.
    try: { type: "string", multiple: true, default: [] },
    seeds: { type: "string", default: "1" },
    prompts: { type: "string", default: "64" },
    pictures: { type: "string", default: "2" },
    threads: { type: "string", default: "0" },
  },
});

/** Every combination of the values that are tried. */
function combinations(tries: readonly string[]): Options[] {
  return tries.reduce<Options[]>(
    (all, text) => {
      const [name = "", list = ""] = text.split(/=(.*)/s);
      const tried = parse(`[${list}]`) as unknown[];
      return all.flatMap((one) => tried.map((value) => ({ ...one, [name]: value })));
    },
    [{}],
  );
}

const controller = new AbortController();
process.once("SIGINT", () => {
  controller.abort("SIGINT");
});
const lab = await openLab({
  model: path.resolve(values.model),
  place: path.resolve(values.out),
  budget: {
    split: "tuning",
    prompts: Number(values.prompts),
    pictures: Number(values.pictures),
    steps: 20,
    lookEvery: 0,
  },
  threads: Number(values.threads),
  signal: controller.signal,
});

const rows: ArmRuns[] = [];
async function add(title: string, arm: string, options: Options, updates: number, seeds: number) {
  const results = [];
  for (let seed = 1; seed <= seeds; ++seed) {
    const run = { arm: armOf(arm), options, seed: String(seed), updates, keepCheckpoint: false };
    const result = await runArm(lab, run);
    if (result !== undefined) results.push(result);
  }
  if (results.length > 0) rows.push({ title, results });
}

await add("base", "base", {}, 0, 1);
for (const updates of values.updates.split(",").map(Number))
  for (const options of combinations(values.try)) {
    const said = Object.entries(options).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
    const title = [values.method, ...said, `x${updates}`].join(" ");
    await add(title, values.method, options, updates, Number(values.seeds));
  }
lab.world.dispose();
process.stdout.write(`${textTable(methodTable(rows, new Set()))}\n`);
