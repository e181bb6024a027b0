import type { Tensor } from "../../tensor/tensor.js";
import { attributeNames, indicesOf } from "../attributes.js";
import { answersOf, type Judges } from "../judges/judge.js";
import type { Scene } from "../scenes.js";
import { styles } from "../styles.js";

/**
 * What the judges say of pictures of plain captions: the share of attributes that are as asked, all together
 * and one by one, and the mean probability of each style.
 */
export async function policyFigures(
  pictures: Tensor,
  scenes: readonly Scene[],
  { style, attributes }: Judges,
): Promise<Record<string, number>> {
  const found = await attributes.judge(pictures);
  const hits = attributeNames.map(() => 0);
  found.forEach((verdict, i) => {
    const asked = indicesOf(scenes[i]!.attributes);
    answersOf(verdict).forEach((answer, q) => (hits[q]! += answer === asked[q] ? 1 : 0));
  });
  const shares = hits.map((count) => count / scenes.length);
  const probabilities = (await style.judge(pictures)).map(([of]) => of!);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    alignment: mean(shares),
    ...Object.fromEntries(attributeNames.map((name, q) => [`finds/${name}`, shares[q]!])),
    ...Object.fromEntries(
      styles.map((name, s) => [`style/${name}`, mean(probabilities.map((of) => of[s]!))]),
    ),
  };
}
