import { noGrad } from "../../autograd/tape.js";
import type { Autoencoder } from "../../models/autoencoder/model.js";
import { affine, cast, packLatent } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensorFromBytes, type Tensor } from "../../tensor/tensor.js";
import { render } from "../render.js";
import { scenesOf, type Scene, type Split } from "../scenes.js";
import { styles } from "../styles.js";
import { side, type PoolOptions } from "./pool.js";

const chunk = 64;

/**
 * The clean latents of drawn scenes in all styles, as the transformer sees them: packed, shifted and scaled,
 * kept in bfloat16. Place `4 * scene + style`, as in a pool of pictures.
 */
export class LatentPool {
  private constructor(
    readonly scenes: readonly Scene[],
    /** Of one picture: tokens and channels. */
    readonly shape: readonly [number, number],
    readonly bits: Uint16Array,
  ) {}

  get size(): number {
    return this.scenes.length * styles.length;
  }

  /** Draws and encodes scenes 0 to count - 1 of a split; a latent is the posterior's mean. */
  static async encode(
    model: Autoencoder,
    split: Split,
    count: number,
    { onDrawn, signal, ...options }: PoolOptions = {},
  ): Promise<LatentPool> {
    const scenes = scenesOf(split, 0, count, options);
    const total = count * styles.length;
    let pool: LatentPool | undefined;
    for (let first = 0; first < total; first += chunk) {
      signal?.throwIfAborted();
      using scope = tensorScope();
      void scope;
      const places = Array.from({ length: Math.min(chunk, total - first) }, (_, i) => first + i);
      const packed = noGrad(() => {
        const drawn = render(
          places.map((place) => scenes[Math.floor(place / styles.length)]!),
          places.map((place) => styles[place % styles.length]!),
          { size: side },
        );
        const { mean } = model.encode(affine(drawn, 2, -1));
        return cast(packLatent(model.toNetwork(mean)), "bfloat16");
      });
      const [, tokens, channels] = packed.shape as [number, number, number];
      pool ??= new LatentPool(
        scenes,
        [tokens, channels],
        new Uint16Array(total * tokens * channels),
      );
      pool.bits.set(new Uint16Array(await packed.readBytes()), first * tokens * channels);
      onDrawn?.(first + places.length);
    }
    return pool!;
  }

  sceneOf(place: number): Scene {
    return this.scenes[Math.floor(place / styles.length)]!;
  }

  /** Latents by place, [B, tokens, channels] bfloat16. */
  batch(places: readonly number[]): Tensor {
    const [tokens, channels] = this.shape;
    const size = tokens * channels;
    const bits = new Uint16Array(places.length * size);
    places.forEach((place, i) =>
      bits.set(this.bits.subarray(place * size, (place + 1) * size), i * size),
    );
    return tensorFromBytes(bits, [places.length, tokens, channels], { dtype: "bfloat16" });
  }
}
