import { SrpoError } from "../../native/error.js";
import type { Device } from "../../tensor/device.js";
import { tensor, type Tensor } from "../../tensor/tensor.js";

/** Cosines and sines of the rotation of every position. */
export interface RopeTable {
  /** [L, Dh/2], float32 */
  cos: Tensor;
  /** [L, Dh/2], float32 */
  sin: Tensor;
}

/**
 * The table of rotary positions over several axes: axis a of size d gives the d/2 angles
 * `ids[l][a] * theta^(-2j/d)`, j from 0, the axes one after the other. Angles are float64.
 *
 * @param ids - position of each token on each axis: L rows, or one flat array of them
 * @param axesDims - channels of each axis, even; they sum to the head size ((16, 56, 56) in FLUX.1)
 * @param theta - 10000 in FLUX.1
 * @throws SrpoError ERR_SHAPE or ERR_RANGE, naming the argument
 * @see FLUX.1 `EmbedND`; rotary embedding, arXiv:2104.09864 eq. 15
 */
export function ropeTable(
  ids: readonly (readonly number[])[] | Int32Array | Float32Array | Float64Array,
  axesDims: readonly number[],
  theta: number,
  { device = "cpu" }: { device?: Device } = {},
): RopeTable {
  const axes = axesDims.length;
  if (axes === 0 || axesDims.some((d) => !Number.isInteger(d) || d <= 0 || d % 2 !== 0))
    throw new SrpoError(
      "ERR_RANGE",
      `ropeTable: axesDims: expected even sizes, got [${axesDims.join(", ")}]`,
    );
  if (!(theta > 0) || !Number.isFinite(theta))
    throw new SrpoError("ERR_RANGE", `ropeTable: theta: expected a positive number, got ${theta}`);
  const positions = ArrayBuffer.isView(ids) ? ids : flattened(ids, axes);
  if (positions.length === 0 || positions.length % axes !== 0)
    throw new SrpoError(
      "ERR_SHAPE",
      `ropeTable: ids: expected [L, ${axes}], got ${positions.length} numbers`,
    );

  const frequencies = axesDims.map((d) =>
    Float64Array.from({ length: d / 2 }, (_, j) => theta ** ((-2 * j) / d)),
  );
  const half = axesDims.reduce((sum, d) => sum + d / 2, 0);
  const L = positions.length / axes;
  const [cos, sin] = [new Float32Array(L * half), new Float32Array(L * half)];
  let at = 0;
  for (let l = 0; l < L; ++l)
    for (let a = 0; a < axes; ++a)
      for (const frequency of frequencies[a]!) {
        const angle = positions[l * axes + a]! * frequency;
        cos[at] = Math.cos(angle);
        sin[at++] = Math.sin(angle);
      }
  return { cos: tensor(cos, [L, half], { device }), sin: tensor(sin, [L, half], { device }) };
}

function flattened(ids: readonly (readonly number[])[], axes: number): Float64Array {
  for (const row of ids)
    if (row.length !== axes)
      throw new SrpoError(
        "ERR_SHAPE",
        `ropeTable: ids: expected rows of ${axes} positions, got one of ${row.length}`,
      );
  return Float64Array.from(ids.flat());
}
