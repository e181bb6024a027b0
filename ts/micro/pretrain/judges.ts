import type { FolderWriter } from "../../checkpoint/folder_writer.js";
import { noGrad } from "../../autograd/tape.js";
import { initializeParameters } from "../../nn/init.js";
import { tensorsToWrite } from "../../nn/save.js";
import {
  add,
  clamp,
  combine,
  purposes,
  randn,
  scale,
  slice,
  softmaxCrossEntropy,
} from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import { indicesOf } from "../attributes.js";
import { judgeConfigJson, questions, type JudgeKind } from "../judges/config.js";
import { answersOf, type Judge } from "../judges/judge.js";
import { LearningJudge } from "../judges/training.js";
import { styles } from "../styles.js";
import { isReconstruction } from "./autoencoder.js";
import { drawsOf, drawStages } from "./draws.js";
import type { PicturePool } from "./pool.js";
import type { PretrainSettings } from "./settings.js";
import type { Look, Stage, StepLoss } from "./stage.js";

/** Largest deviation of the noise that pictures are given, each its own. */
const mostNoise = 0.06;
/** Pictures that the folded norms' statistics are means over, and how many at a time. */
const measured = 1024;
const each = 128;

/** The right answers to a judge's questions about a picture of a pool. */
function answersFor(kind: JudgeKind, pool: PicturePool, place: number): number[] {
  return kind === "style" ? [place % styles.length] : indicesOf(pool.sceneOf(place).attributes);
}

/** One judge, by cross-entropy on pictures half drawn, half decoded, with noise. */
export class JudgeStage implements Stage {
  readonly name;
  readonly settings;
  readonly models;
  readonly #model: LearningJudge;
  readonly #seed: bigint;
  readonly #stage: number;

  constructor(
    readonly kind: JudgeKind,
    settings: PretrainSettings,
    readonly training: PicturePool,
    readonly validation: PicturePool,
  ) {
    this.name = `${kind} judge`;
    this.settings = kind === "style" ? settings.styleJudge : settings.attributeJudge;
    this.#stage = kind === "style" ? drawStages.styleJudge : drawStages.attributeJudge;
    this.#seed = settings.seed;
    this.#model = new LearningJudge(kind, { dtype: this.settings.dtype, trainable: true });
    initializeParameters(this.#model.parameters, settings.seed);
    this.models = { judge: this.#model.parameters };
  }

  loss(step: number): StepLoss {
    const draws = Array.from({ length: this.settings.batch }, (_, sample) => {
      const drawn = drawsOf(this.#seed, { stage: this.#stage, step, sample });
      return { place: drawn.below(this.training.size), noise: mostNoise * drawn.uniform() };
    });
    const places = draws.map(({ place }) => place);
    const logits = this.#model.forward(
      this.#noisy(
        step,
        this.training.batch(places),
        draws.map(({ noise }) => noise),
      ),
    );
    const targets = places.map((place) => answersFor(this.kind, this.training, place));
    let start = 0;
    const losses = questions[this.kind].map(({ answers }, i) => {
      const own = slice(logits, 1, start, answers.length);
      start += answers.length;
      const target = targets.map((all) => all[i]!);
      return softmaxCrossEntropy(own, tensor(target, [target.length], { dtype: "int32" }));
    });
    const total = losses.reduce((sum, loss) => add(sum, loss));
    return { loss: scale(total, 1 / losses.length), metrics: {} };
  }

  #noisy(step: number, pictures: Tensor, deviations: readonly number[]): Tensor {
    const noise = randn(pictures.shape, {
      seed: this.#seed,
      purpose: purposes.pretrainNoise,
      step,
      sample: deviations.map((_, i) => this.#stage * 65_536 + i),
    });
    return clamp(combine(pictures, noise, { x: 1, y: deviations }), 0, 1);
  }

  /** The judge as it would be kept. */
  #folded(dtype: "float32" | "bfloat16"): Promise<Judge> {
    const count = Math.min(measured, this.training.size);
    const batches = Array.from({ length: Math.ceil(count / each) }, (_, chunk) => () => {
      const places = Array.from(
        { length: Math.min(each, count - chunk * each) },
        (_p, i) =>
          // Spread over the whole of the pool: an odd stride meets all styles.
          ((chunk * each + i) * 7919) % this.training.size,
      );
      const deviations = places.map((_p, i) => (mostNoise * i) / places.length);
      return noGrad(() => this.#noisy(chunk, this.training.batch(places), deviations));
    });
    return this.#model.folded(batches, { dtype });
  }

  async look(): Promise<Look> {
    const judge = await this.#folded("bfloat16");
    try {
      return { figures: await judgeAccuracy(judge, this.validation), pictures: {} };
    } finally {
      judge.dispose();
    }
  }

  async write(folder: FolderWriter): Promise<void> {
    const judge = await this.#folded("float32");
    try {
      await folder.json("config.json", judgeConfigJson(this.kind));
      await folder.safetensors(
        "model.safetensors",
        tensorsToWrite(judge.parameters, judge.names, { dtype: "bfloat16" }),
        { format: "pt" },
      );
    } finally {
      judge.dispose();
    }
  }

  dispose(): void {
    this.#model.dispose();
  }
}

/** The share of right answers: over renders, over reconstructions, and by question over both. */
export async function judgeAccuracy(
  judge: Judge,
  pool: PicturePool,
): Promise<Record<string, number>> {
  const asked = new Map<string, { hits: number; count: number }>();
  const note = (name: string, hit: boolean) => {
    const { hits, count } = asked.get(name) ?? { hits: 0, count: 0 };
    asked.set(name, { hits: hits + (hit ? 1 : 0), count: count + 1 });
  };
  for (let first = 0; first < pool.size; first += each) {
    using scope = tensorScope();
    void scope;
    const places = Array.from({ length: Math.min(each, pool.size - first) }, (_, i) => first + i);
    const verdicts = await judge.judge(pool.batch(places));
    verdicts.forEach((verdict, i) => {
      const place = places[i]!;
      const right = answersFor(judge.kind, pool, place);
      const kind = isReconstruction(place) ? "reconstructions" : "renders";
      answersOf(verdict).forEach((answer, q) => {
        note(kind, answer === right[q]);
        note(judge.questions[q]!.name, answer === right[q]);
      });
    });
  }
  return Object.fromEntries([...asked].map(([name, { hits, count }]) => [name, hits / count]));
}
