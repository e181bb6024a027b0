import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { purposes } from "../ops/random/purposes.js";
import { Tensor } from "../tensor/tensor.js";
import { indicesOf } from "./attributes.js";
import { splits, type Scene } from "./scenes.js";
import { styles, type Style } from "./styles.js";

export interface RenderOptions {
  /** Pixels a side, 8 to 512; default 64. 128 costs four times as much. */
  size?: number;
  /** `uint8`, 0 to 255, or `float32`, 0 to 1; default float32. */
  dtype?: "uint8" | "float32";
}

function enqueue(
  scenes: readonly Scene[],
  style: Style | readonly Style[],
  { size = 64, dtype = "float32" }: RenderOptions,
  coverage: boolean,
) {
  const [first] = scenes;
  if (first === undefined)
    throw new SrpoError("ERR_SHAPE", "microRender: scenes: expected at least one, got none");
  const { seed, split } = first;
  if (scenes.some((scene) => scene.seed !== seed || scene.split !== split))
    throw new SrpoError(
      "ERR_RANGE",
      "microRender: scenes: expected scenes of one seed and one split, got several",
    );
  const each = typeof style === "string" ? scenes.map(() => style) : style;
  return native.microRender(
    seed,
    purposes.microScene,
    splits[split],
    scenes.map(({ number }) => number),
    scenes.flatMap(({ attributes }) => indicesOf(attributes)),
    each.map((name) => styles.indexOf(name)),
    size,
    dtype,
    coverage,
  );
}

/**
 * Draws scenes: all in one style, or each in its own. The camera, the geometry and the textures of a
 * scene are the same in every style. Enqueued on the cpu device's stream as any op is, drawn in
 * parallel, a picture a thread; there is no kernel for it on another device.
 *
 * @param scenes - at least one, of one split and seed
 * @param style - one of `styles`, or one a scene
 * @returns [B, size, size, 3] on the cpu; the same bytes on any number of threads and any x86-64
 * @throws SrpoError ERR_SHAPE, ERR_RANGE or ERR_DTYPE, naming the argument
 * @example const pictures = render(scenesOf("training", 0, 16), "photo");
 */
export function render(
  scenes: readonly Scene[],
  style: Style | readonly Style[],
  options: RenderOptions = {},
): Tensor {
  return new Tensor(enqueue(scenes, style, options, false)[0]);
}

/**
 * The same, with the object's share of each pixel.
 *
 * @returns pictures [B, size, size, 3]; coverage [B, size, size] uint8, 255 where only the object is seen
 */
export function renderWithCoverage(
  scenes: readonly Scene[],
  style: Style | readonly Style[],
  options: RenderOptions = {},
): { pictures: Tensor; coverage: Tensor } {
  const [pictures, coverage] = enqueue(scenes, style, options, true);
  return { pictures: new Tensor(pictures), coverage: new Tensor(coverage!) };
}
