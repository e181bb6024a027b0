import { tensorScope } from "../../tensor/scope.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";
import { render } from "../render.js";
import { scenesOf, type Scene, type Split } from "../scenes.js";
import { styles } from "../styles.js";

/** Pixels a side of every picture that the micro models see. */
export const side = 64;
const pictureSize = side * side * 3;
/** Pictures of one call of the renderer: enough for all threads, few enough for progress. */
const chunk = 64;

export interface PoolOptions {
  seed?: bigint;
  /** Told after every chunk how many pictures there are. */
  onDrawn?: (done: number) => void;
  signal?: AbortSignal;
}

/** Scenes drawn once in all styles and kept as bytes; picture `4 * scene + style`. */
export class PicturePool {
  private constructor(
    readonly scenes: readonly Scene[],
    readonly pixels: Uint8Array,
  ) {}

  get size(): number {
    return this.scenes.length * styles.length;
  }

  /** Of one picture. */
  readonly shape = [side, side, 3] as const;

  /** Draws scenes 0 to count - 1 of a split. */
  static async draw(
    split: Split,
    count: number,
    { onDrawn, signal, ...options }: PoolOptions = {},
  ): Promise<PicturePool> {
    const scenes = scenesOf(split, 0, count, options);
    const pixels = new Uint8Array(count * styles.length * pictureSize);
    for (let first = 0; first < count * styles.length; first += chunk) {
      signal?.throwIfAborted();
      using scope = tensorScope();
      void scope;
      const places = Array.from(
        { length: Math.min(chunk, count * styles.length - first) },
        (_, i) => first + i,
      );
      const drawn = render(
        places.map((place) => scenes[Math.floor(place / styles.length)]!),
        places.map((place) => styles[place % styles.length]!),
        { size: side, dtype: "uint8" },
      );
      pixels.set(new Uint8Array(await drawn.readBytes()), first * pictureSize);
      onDrawn?.(first + places.length);
    }
    return new PicturePool(scenes, pixels);
  }

  sceneOf(place: number): Scene {
    return this.scenes[Math.floor(place / styles.length)]!;
  }

  /** A picture's values from 0 to 1, into a place of an array. */
  #values(into: Float32Array, at: number, place: number, low: number): void {
    const from = place * pictureSize;
    const { pixels } = this;
    const scale = (1 - low) / 255;
    for (let i = 0; i < pictureSize; ++i) into[at + i] = low + scale * pixels[from + i]!;
  }

  /**
   * Pictures by place.
   *
   * @param options.low - what black is: 0, or -1 as an encoder wants it
   * @returns [B, 64, 64, 3] float32, white 1
   */
  batch(places: readonly number[], { low = 0 }: { low?: 0 | -1 } = {}): Tensor {
    return tensor(this.values(places, { low }), [places.length, side, side, 3]);
  }

  /** The same as plain numbers. */
  values(places: readonly number[], { low = 0 }: { low?: 0 | -1 } = {}): Float32Array {
    const values = new Float32Array(places.length * pictureSize);
    places.forEach((place, i) => this.#values(values, i * pictureSize, place, low));
    return values;
  }

  /** Puts other pictures, values from 0 to 1, in the places of these. */
  replace(places: readonly number[], values: Float32Array): void {
    places.forEach((place, i) => {
      const to = place * pictureSize;
      const from = i * pictureSize;
      for (let j = 0; j < pictureSize; ++j)
        this.pixels[to + j] = Math.round(255 * Math.min(1, Math.max(0, values[from + j]!)));
    });
  }
}
