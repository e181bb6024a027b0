// SRPO alone, before and after: what `srpo-native demo` does.
import path from "node:path";
import { makeFolder, replaceFile } from "../../checkpoint/durable.js";
import { encodePng } from "../../data/png.js";
import { pairSheet } from "../../report/sheet.js";
import { keepOrigin, originOf, readOrigin } from "../../train/origin.js";
import { runArm } from "./arm.js";
import { demoPage, pairsOf, type DemoOutcome } from "./demo_page.js";
import type { Lab } from "./lab.js";
import { armOf, type Options } from "./settings.js";

export interface DemoRun {
  seed: string;
  updates: number;
  /** Laid over SRPO's settings. */
  options: Options;
}

/** The files that a reader opens. */
export interface DemoFiles {
  report: string;
  picture: string;
}

/**
 * Judges the base model, trains it by SRPO, judges what it became, and writes before-after.png, before-after.json
 * (its captions) and report.html.
 *
 * @returns undefined if the signal came first: call it again to go on
 */
export async function demo(
  lab: Lab,
  { seed, updates, options }: DemoRun,
): Promise<(DemoOutcome & { files: DemoFiles }) | undefined> {
  const started = performance.now();
  await makeFolder(lab.place);
  await keepOrigin(lab.place);
  const origin = readOrigin(lab.place) ?? originOf();
  const run = { seed, updates, options, keepCheckpoint: true };
  const base = await runArm(lab, { ...run, arm: armOf("base") });
  const after = base && (await runArm(lab, { ...run, arm: armOf("srpo") }));
  if (base === undefined || after === undefined) return undefined;
  const seconds = (performance.now() - started) / 1000;
  const outcome: DemoOutcome = { base, after, origin, seconds };
  const files = {
    report: path.join(lab.place, "report.html"),
    picture: path.join(lab.place, "before-after.png"),
  };
  const png = encodePng(pairSheet(pairsOf(outcome), { columns: 3, scale: 2 }), {
    Software: "srpo-native",
    command: origin.command,
  });
  const captions = `${JSON.stringify({ captions: base.captions }, null, 2)}\n`;
  await replaceFile(files.picture, (sink) => sink.write(png));
  await replaceFile(path.join(lab.place, "before-after.json"), (sink) =>
    sink.write(Buffer.from(captions)),
  );
  await replaceFile(files.report, (sink) => sink.write(Buffer.from(demoPage(outcome))));
  return { ...outcome, files };
}
