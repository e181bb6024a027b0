import { ConfigReader } from "../../nn/config_reader.js";
import { attributeNames, attributeValues } from "../attributes.js";
import { styles } from "../styles.js";

/** A judge's answers: one choice a question. */
export interface Question {
  readonly name: string;
  readonly answers: readonly string[];
}

export type JudgeKind = "style" | "attributes";

/** The questions of each judge, in the order of its outputs. */
export const questions: Readonly<Record<JudgeKind, readonly Question[]>> = {
  style: [{ name: "style", answers: styles }],
  attributes: attributeNames.map((name) => ({ name, answers: attributeValues[name] })),
};

/** Outputs of a judge: all its questions' answers side by side. */
export function outputsOf(kind: JudgeKind): number {
  return questions[kind].reduce((sum, { answers }) => sum + answers.length, 0);
}

/** Channels of the stages: two convolutions each, the first of stride 2 but in the first stage. */
export const stageWidths = [24, 48, 72, 96] as const;

/** One convolution of the trunk: [from, to], kernel, stride. */
export interface Layer {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride: number;
}

/** The trunk: a 5x5 stem of stride 2, then the stages; 64 pixels a side become 4. */
export const trunk: readonly Layer[] = [
  { name: "stem", from: 3, to: stageWidths[0], kernel: 5, stride: 2 },
  ...stageWidths.flatMap((to, i): Layer[] => [
    {
      name: `stage.${i}.0`,
      from: stageWidths[Math.max(i - 1, 0)]!,
      to,
      kernel: 3,
      stride: i === 0 ? 1 : 2,
    },
    { name: `stage.${i}.1`, from: to, to, kernel: 3, stride: 1 },
  ]),
];

/** Of the last stage: the largest of each channel, and its mean over each quarter of the picture. */
export const pooledSize = 5 * stageWidths.at(-1)!;

/** config.json of a judge's folder. */
export function judgeConfigJson(kind: JudgeKind) {
  return {
    architectures: ["SrpoMicroJudge"],
    kind,
    image_size: 64,
    stage_widths: [...stageWidths],
    questions: questions[kind].map(({ name, answers }) => ({ name, answers: [...answers] })),
  };
}

/** @throws SrpoError ERR_CONFIG for another network's, or for questions that are no longer asked */
export function judgeKindOf(json: unknown): JudgeKind {
  const read = new ConfigReader(json, "judge config");
  const kind = read.oneOf("kind", ["style", "attributes"] as const);
  const widths = read.counts("stage_widths");
  if (widths.join() !== stageWidths.join()) read.wrong("stage_widths", stageWidths.join(", "));
  const asked = (json as { questions?: unknown } | null)?.questions;
  if (JSON.stringify(asked) !== JSON.stringify(judgeConfigJson(kind).questions))
    read.wrong("questions", "this world's own", asked);
  read.check();
  return kind;
}
