import type { Tensor } from "../../tensor/tensor.js";
import type { Judges, Verdict } from "../judges/judge.js";
import { side } from "../pretrain/pool.js";
import { statisticsOf, type PictureStatistics } from "./statistics.js";

/** Everything that a picture is judged by, but for what was asked. */
export interface Examined extends PictureStatistics {
  /** A probability a style, in the order of `styles`. */
  style: readonly number[];
  /** A list of probabilities an attribute, in the order of `attributeNames`. */
  attributes: Verdict;
  /** How sure each judge is: the probability of its answer, the mean over its questions. */
  sure: { style: number; attributes: number };
  /** Both judges' features side by side: what pictures are compared by. */
  features: Float32Array;
}

function sureness(verdict: Verdict): number {
  return verdict.reduce((sum, answers) => sum + Math.max(...answers), 0) / verdict.length;
}

/** Shows pictures [B, 64, 64, 3] in [0, 1] to both judges and measures them. */
export async function examine(images: Tensor, judges: Judges): Promise<Examined[]> {
  const values = await images.read();
  const style = await judges.style.examine(images);
  const attributes = await judges.attributes.examine(images);
  return style.map((said, i) => {
    const content = attributes[i]!;
    const features = new Float32Array(said.features.length + content.features.length);
    features.set(said.features);
    features.set(content.features, said.features.length);
    return {
      ...statisticsOf(values, i * side * side * 3),
      style: said.verdict[0]!,
      attributes: content.verdict,
      sure: { style: sureness(said.verdict), attributes: sureness(content.verdict) },
      features,
    };
  });
}
