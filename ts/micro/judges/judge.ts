import path from "node:path";
import { noGrad } from "../../autograd/tape.js";
import { openTensors } from "../../checkpoint/sharded.js";
import { readJson } from "../../checkpoint/strict_json.js";
import { convolutionLayer, linearLayer } from "../../nn/layers.js";
import { loadParameters } from "../../nn/load.js";
import { convolution, whole, type NamesMap } from "../../nn/names_map.js";
import { ParameterSet, type ParameterSetOptions } from "../../nn/parameter_set.js";
import { affine, cast, relu } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import { judgeKindOf, questions, trunk, type JudgeKind, type Question } from "./config.js";
import { foldedParameters, paddingOf, pool } from "./layers.js";

/** What a judge says of one picture: a probability an answer, a list a question. */
export type Verdict = readonly (readonly number[])[];

/** A verdict, and the 480 features that it rests on. */
export interface Examination {
  verdict: Verdict;
  features: Float32Array;
}

/** A judge as it is kept: no gradient, no batch norm, only convolutions. */
export class Judge {
  readonly questions: readonly Question[];

  constructor(
    readonly kind: JudgeKind,
    readonly parameters: ParameterSet,
  ) {
    this.questions = questions[kind];
  }

  static create(kind: JudgeKind, options: ParameterSetOptions = {}): Judge {
    return new Judge(kind, ParameterSet.create(foldedParameters(kind), options));
  }

  /** The judge of a folder (`<micro>/judges/style`). @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT */
  static async open(folder: string, options: ParameterSetOptions = {}): Promise<Judge> {
    const judge = Judge.create(judgeKindOf(readJson(path.join(folder, "config.json"))), options);
    try {
      using store = openTensors(folder);
      await loadParameters(judge.parameters, judge.names, store);
      return judge;
    } catch (error) {
      judge.dispose();
      throw error;
    }
  }

  /** Names on disk: ours, convolutions as [out, in, kh, kw]. */
  get names(): NamesMap {
    return {
      tensors: this.parameters.ranges.map(({ parameter }) =>
        parameter.shape.length === 4
          ? convolution(parameter.name, parameter)
          : whole(parameter.name, parameter),
      ),
      ignores: () => false,
    };
  }

  /** The last stage's pooled channels, [B, 480]: what pictures are compared by. */
  features(images: Tensor): Tensor {
    const { parameters: w } = this;
    let x = cast(affine(images, 2, -1), w.dtype);
    for (const layer of trunk)
      x = relu(
        convolutionLayer(w, layer.name, x, { stride: layer.stride, padding: paddingOf(layer) }),
      );
    return pool(x);
  }

  /** What it says of pictures [B, 64, 64, 3] in [0, 1]. */
  async judge(images: Tensor): Promise<Verdict[]> {
    return (await this.examine(images)).map(({ verdict }) => verdict);
  }

  /** The same, with the features that it says it by. */
  async examine(images: Tensor): Promise<Examination[]> {
    using scope = tensorScope();
    void scope;
    const [features, logits] = noGrad(() => {
      const pooled = this.features(images);
      return [pooled, linearLayer(this.parameters, "head", pooled)] as const;
    });
    const [all, values] = [await features.read(), await logits.read()];
    const [wide, width] = [features.dim(1), logits.dim(1)];
    return Array.from({ length: logits.dim(0) }, (_, b) => {
      let at = b * width;
      const verdict = this.questions.map(({ answers }) => {
        const own = values.subarray(at, at + answers.length);
        at += answers.length;
        return softmax(own);
      });
      return { verdict, features: all.slice(b * wide, (b + 1) * wide) };
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

function softmax(logits: Float32Array): number[] {
  const most = Math.max(...logits);
  const all = Array.from(logits, (v) => Math.exp(v - most));
  const sum = all.reduce((a, b) => a + b, 0);
  return all.map((v) => v / sum);
}

/** Each question's most likely answer. */
export function answersOf(verdict: Verdict): number[] {
  return verdict.map((probabilities) => probabilities.indexOf(Math.max(...probabilities)));
}

/** Both judges, as a micro folder has them. */
export interface Judges {
  readonly style: Judge;
  readonly attributes: Judge;
}

/** @param folder - of all micro models @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT */
export async function openJudges(folder: string): Promise<Judges> {
  const style = await Judge.open(path.join(folder, "judges", "style"));
  try {
    return { style, attributes: await Judge.open(path.join(folder, "judges", "attributes")) };
  } catch (error) {
    style.dispose();
    throw error;
  }
}
