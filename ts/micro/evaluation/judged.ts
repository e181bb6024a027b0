import { noGrad } from "../../autograd/tape.js";
import { sub } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import { indicesOf } from "../attributes.js";
import { withStyleWord } from "../captions.js";
import { answersOf } from "../judges/judge.js";
import type { Scene } from "../scenes.js";
import { styleWords } from "../styles.js";
import { examine, type Examined } from "./examine.js";
import type { MicroWorld } from "./world.js";

/** What a picture was asked to show. */
export interface Asked {
  scene: Scene;
  caption: string;
}

/** A picture, judged. */
export interface Judged extends Examined {
  asked: Asked;
  /** Cosine with the plain caption. */
  reward: number;
  /** Cosine with "Photo. caption" less that with "CG Render. caption". */
  sgp: number;
  /** An attribute each, in the order of `attributeNames`: whether it is as asked. */
  found: readonly boolean[];
}

const [photo, cg] = [styleWords.photo[0]!.word, styleWords.cg[0]!.word];

/** The reward's cosines, [B] each: with the plain captions, and the wanted word's less the unwanted one's. */
async function cosines({ reward }: MicroWorld, images: Tensor, captions: readonly string[]) {
  const zero = captions.map(() => 0);
  const [plain, semantic] = noGrad(() => {
    const text = (word: string) =>
      reward.textFeatures(captions.map((caption) => withStyleWord(word, caption)));
    const captioned = reward.textFeatures(captions);
    const nothing = sub(captioned, captioned);
    return [
      reward.score(images, captioned, nothing, zero),
      reward.score(images, text(photo), text(cg), zero),
    ] as const;
  });
  return { plain: await plain.read(), semantic: await semantic.read() };
}

/**
 * Judges pictures against what was asked of each.
 *
 * @param images - [B, 64, 64, 3] float32 in [0, 1]
 */
export async function judgePictures(
  world: MicroWorld,
  images: Tensor,
  asked: readonly Asked[],
): Promise<Judged[]> {
  using scope = tensorScope();
  void scope;
  const examined = await examine(images, world.judges);
  const scores = await cosines(
    world,
    images,
    asked.map(({ caption }) => caption),
  );
  return examined.map((one, i) => {
    const right = indicesOf(asked[i]!.scene.attributes);
    return {
      ...one,
      asked: asked[i]!,
      reward: scores.plain[i]! / world.reward.scale,
      sgp: scores.semantic[i]! / world.reward.scale,
      found: answersOf(one.attributes).map((answer, q) => answer === right[q]),
    };
  });
}
