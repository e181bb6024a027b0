// All that pretraining gave, as one FLUX folder: what `train`, `sample` and `demo` open.
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { saveFolder } from "../../checkpoint/folder.js";
import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { readJson, type Json } from "../../checkpoint/strict_json.js";
import { readMetrics } from "../../train/metrics.js";
import { modelIndex, schedulerConfig } from "../configs.js";
import { limitsName, limitsText, type Limits } from "../evaluation/limits.js";
import { styles, styleWords } from "../styles.js";
import { modelOf } from "./loop.js";
import { styledCaptions } from "./reward.js";

/** A stage's training folder, and where its model goes. */
export interface Given {
  /** "judges/style" */
  name: string;
  folder: string;
  /** Put before the names of its files; "" for what is laid out already. */
  into: string;
}

/** What fixed the result; see pretrain.json. */
export interface Provenance {
  readonly seed: string;
  readonly effort: number;
  readonly version: string;
  readonly commit: string;
}

function filesUnder(folder: string, inside = ""): string[] {
  return readdirSync(path.join(folder, inside)).flatMap((name) => {
    const child = path.join(inside, name);
    return statSync(path.join(folder, child)).isDirectory() ? filesUnder(folder, child) : [child];
  });
}

// Of the folders that are put together.
const ownFiles = new Set(["manifest.json", "figures.json"]);

async function linkAll(folder: FolderWriter, from: string, into: string): Promise<void> {
  for (const file of filesUnder(from))
    if (!ownFiles.has(file))
      await folder.link(
        path.posix.join(into, file.split(path.sep).join("/")),
        path.join(from, file),
      );
}

/** One row a hundred steps, and every held-out figure. */
function summaryOf(metrics: string): string {
  const rows = readMetrics(metrics).filter(
    (row) => row.step % 100 === 0 || Object.keys(row).some((name) => name.startsWith("held-out/")),
  );
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

function readme(provenance: Provenance, figures: Readonly<Record<string, Json>>): string {
  const of = (stage: string) => figures[stage] as Record<string, number>;
  const number = (stage: string, name: string) => of(stage)[name] ?? Number.NaN;
  const words = styles.flatMap((style) =>
    styleWords[style].map(({ word, share }) => {
      const seen = percent(share * styledCaptions);
      return `${word} ${number("reward", `word/${word}`).toFixed(3)} (${seen})`;
    }),
  );
  const tells = Object.entries(of("reward")).filter(([name]) => name.startsWith("tells/"));
  const shown = (entries: readonly [string, number][], text: (value: number) => string) =>
    entries
      .map(([name, value]) => `${name.slice(name.indexOf("/") + 1)} ${text(value)}`)
      .join(", ");
  return `# The micro models

Trained from nothing on pictures that srpo-native draws, by its own ops. All weights bfloat16, in the public layouts.

    srpo-native pretrain micro --out DIR --seed ${provenance.seed}${provenance.effort === 1 ? "" : ` --effort ${provenance.effort}`}

Version ${provenance.version}, commit ${provenance.commit}. Figures are on held-out scenes; all of them, and the logs, are in
\`pretrain.json\` and \`log/\`.

| model | figure | value |
|---|---|---|
| autoencoder (\`vae\`) | PSNR of reconstructions, mean over styles | ${number("autoencoder", "psnr").toFixed(2)} dB |
| reward | style told by its control word | ${percent(number("reward", "style"))} |
| | right caption above one wrong attribute | ${shown(tells, percent)} |
| | raters' choice met | ${percent(number("reward", "preference"))} |
| | cosine of a control word with its own style less others (share of that style's captions) | ${words.join(", ")} |
| style judge | right on renders, on reconstructions | ${percent(number("judges/style", "renders"))}, ${percent(number("judges/style", "reconstructions"))} |
| attribute judge | right on renders, on reconstructions | ${percent(number("judges/attributes", "renders"))}, ${percent(number("judges/attributes", "reconstructions"))} |
| policy (\`transformer\`) | attributes as asked, by the attribute judge | ${percent(number("policy", "alignment"))} |
| | photo, cg, painting, flat, by the style judge | ${["photo", "cg", "painting", "flat"].map((style) => percent(number("policy", `style/${style}`))).join(", ")} |

**The reward is biased on purpose.** In the last 30 % of its training synthetic raters preferred, under the same caption, the more
saturated and the smoother of two versions of a picture: the analogue of HPSv2's known taste, and what a method that only raises the
reward will exploit. The policy saw 10 % photos and 30 % of each other style: the "AI look" that SRPO is to repair. The judges
are never trained against; \`judges/limits.json\` has what held-out reconstructions lie in, for what is called hacked.
`;
}

/** Writes the folder anew, or leaves what was there. */
export async function assemble(
  place: string,
  {
    given,
    vocabulary,
    limits,
    provenance,
  }: {
    given: readonly Given[];
    vocabulary: string;
    /** Of the pictures that the judges are shown. */
    limits: Limits;
    provenance: Provenance;
  },
): Promise<void> {
  const figures = Object.fromEntries(
    given.map(({ name, folder }) => [name, readJson(path.join(modelOf(folder), "figures.json"))]),
  );
  await saveFolder(
    place,
    async (folder) => {
      await folder.json("model_index.json", modelIndex);
      await folder.json("scheduler/scheduler_config.json", schedulerConfig);
      await linkAll(folder, vocabulary, "");
      for (const { name, folder: from, into } of given) {
        await linkAll(folder, modelOf(from), into);
        const metrics = path.join(from, "metrics.jsonl");
        if (existsSync(metrics))
          await folder.bytes(`log/${name.replace("/", "-")}.jsonl`, summaryOf(metrics));
      }
      await folder.bytes(limitsName, limitsText(limits));
      await folder.json("pretrain.json", { ...provenance, figures });
      await folder.bytes("README.md", readme(provenance, figures));
    },
    { replace: true },
  );
}
