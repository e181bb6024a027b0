// report.html of a demo: pictures, figures, curves, settings.
import { lineChart } from "../../report/chart.js";
import { html, type Content } from "../../report/html.js";
import { originLines } from "../../report/origin.js";
import { commandLine, facts, page, section } from "../../report/page.js";
import { pairCards, type Pair } from "../../report/pictures.js";
import { settings } from "../../report/run_report.js";
import { htmlTable } from "../../report/table.js";
import type { Origin } from "../../train/origin.js";
import type { ArmResult, CurvePoint } from "./result.js";
import { story } from "./story.js";
import { beforeAfterTable } from "./tables.js";

export interface DemoOutcome {
  base: ArmResult;
  after: ArmResult;
  origin: Origin;
  /** Of the whole command, as far as it ran without a stop. */
  seconds: number;
}

/** The same prompts and noise, before and after. */
export function pairsOf({ base, after }: Pick<DemoOutcome, "base" | "after">): Pair[] {
  return base.captions.map((caption, i) => ({
    caption,
    before: base.pictures[i]!,
    after: after.pictures[i]!,
  }));
}

function curves(curve: readonly CurvePoint[]): Content {
  if (curve.length < 2) return undefined;
  const of = (name: string, value: (point: CurvePoint) => number) => ({
    name,
    points: curve.map((point) => [point.step, value(point)] as const),
  });
  const x = "updates";
  return section(
    "Over the updates",
    html`<p>
      Measured while it trains, one picture a prompt: the judge's realism, what keeps the prompt,
      and the reward.
    </p>`,
    html`<div class="charts">
      ${lineChart({ title: "realism", x, series: [of("realism", (p) => p.realism)], include: [0] })}
      ${lineChart({ title: "alignment", x, series: [of("alignment", (p) => p.alignment)], include: [0.9, 1] })}
      ${lineChart({ title: "reward", x, series: [of("reward", (p) => p.reward)] })}
      ${lineChart({ title: "SGP: photo less CG", x, series: [of("SGP", (p) => p.sgp)] })}
    </div>`,
  );
}

/** How pictures were made and judged, in words. */
export function judgedBy({ budget }: ArmResult): Content {
  const { prompts, pictures, split, steps } = budget;
  return html`${prompts} prompts of the ${split} split, ${pictures} pictures each, ${steps} Euler
  steps; pictures shown are of the first prompts, none chosen`;
}

/** The page of a demo. */
export function demoPage(outcome: DemoOutcome): string {
  const { base, after, origin, seconds } = outcome;
  return page({
    title: "SRPO on the micro world",
    lead: "The same prompts and the same noise, before and after alignment with a preference for photographs.",
    body: [
      commandLine(origin.command),
      section(
        "What is seen",
        story(base, after).map((sentence) => html`<p>${sentence}</p>`),
      ),
      section("Before and after", pairCards(pairsOf(outcome))),
      section("Figures", htmlTable(beforeAfterTable(base, after))),
      curves(after.curve),
      section(
        "Settings",
        facts([
          ["judged by", judgedBy(after)],
          ["seed", after.seed],
          ["seconds in all", seconds.toFixed(0)],
        ]),
        settings(after.options),
      ),
    ],
    foot: originLines(origin),
  });
}
