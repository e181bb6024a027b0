import { SrpoError } from "../native/error.js";
import { purposes } from "../ops/random/purposes.js";
import { randomPermutation } from "../ops/random/random_integer.js";
import { attributeNames, attributeValues, type Attributes } from "./attributes.js";

/**
 * Who may see a scene. A split is a word of the counter that all of a scene's draws are named by, so
 * that no two splits share a scene's geometry, hues, textures or grain, however many scenes are drawn.
 *
 * | split | for |
 * |---|---|
 * | training | autoencoder, reward, policy |
 * | validation | their held-out figures, and the judges' |
 * | judging | what the judges are trained on: scenes that neither reward nor policy saw |
 * | tuning | prompts that hyperparameters of a method are chosen on |
 * | reporting | prompts that its results are reported on |
 */
export const splits = { training: 0, validation: 1, judging: 2, tuning: 3, reporting: 4 } as const;
export type Split = keyof typeof splits;

export interface Scene {
  split: Split;
  /** Within its split, 0 to 2^32 - 1. */
  number: number;
  /** The world's; 0 is the one that the shipped weights were trained in. */
  seed: bigint;
  attributes: Attributes;
}

/** After so many scenes each value of an attribute has come equally often: a multiple of 5, 8, 2 and 3. */
export const balancedBlock = 120;

/** Which value an attribute has in each scene of a block. */
function valuesOfBlock(seed: bigint, split: Split, attribute: number, block: number): number[] {
  const { length } = attributeValues[attributeNames[attribute]!];
  const step = splits[split] * attributeNames.length + attribute;
  return randomPermutation(balancedBlock, {
    seed,
    purpose: purposes.microAttributes,
    step,
    sample: block,
  }).map((place) => place % length);
}

/**
 * Scenes `first` to `first + count - 1` of a split. Attributes are uniform, independent of one another
 * and balanced: every block of 120 scenes (0 to 119, 120 to 239, ...) has each value of an attribute
 * equally often. The same scenes however they are cut into calls.
 *
 * @throws SrpoError ERR_RANGE unless 0 <= first and first + count <= 2^32
 */
export function scenesOf(
  split: Split,
  first: number,
  count: number,
  { seed = 0n }: { seed?: bigint } = {},
): Scene[] {
  for (const [name, value] of Object.entries({ first, count }))
    if (!Number.isInteger(value) || value < 0 || first + count > 2 ** 32)
      throw new SrpoError(
        "ERR_RANGE",
        `scenesOf: ${name}: expected a whole number, first + count up to 2^32, got ${value}`,
      );
  const scenes: Scene[] = [];
  let block = -1;
  let values: number[][] = [];
  for (let number = first; number < first + count; ++number) {
    if (Math.floor(number / balancedBlock) !== block) {
      block = Math.floor(number / balancedBlock);
      const of = block;
      values = attributeNames.map((_, i) => valuesOfBlock(seed, split, i, of));
    }
    const entries = attributeNames.map((name, i) => [
      name,
      attributeValues[name][values[i]![number % balancedBlock]!],
    ]);
    scenes.push({ split, number, seed, attributes: Object.fromEntries(entries) as Attributes });
  }
  return scenes;
}
