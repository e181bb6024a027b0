import { SrpoError } from "../native/error.js";

/**
 * How a tensor on disk lies in memory:
 *
 *   same           the same order (a squeezed or flattened shape too)
 *   transposed     [R, C] on disk, [C, R] in memory
 *   convolution    [out, in, kh, kw] on disk, [out, kh, kw, in] in memory
 *   swappedHalves  the first half of the rows on disk is the second in memory
 */
export type Layout = "same" | "transposed" | "convolution" | "swappedHalves";

type Elements = Uint8Array | Uint16Array | Uint32Array;

function elementsOf(bytes: Uint8Array, elementBytes: number): Elements {
  if (elementBytes === 1) return bytes;
  // A slice, since a header's length need not leave the data aligned.
  const own = bytes.byteOffset % elementBytes === 0 ? bytes : bytes.slice();
  const length = own.byteLength / elementBytes;
  if (elementBytes === 2) return new Uint16Array(own.buffer, own.byteOffset, length);
  if (elementBytes === 4) return new Uint32Array(own.buffer, own.byteOffset, length);
  throw new SrpoError(
    "ERR_DTYPE",
    `layout: expected 1, 2 or 4 bytes an element, got ${elementBytes}`,
  );
}

/** [outer, rows, columns] -> [outer, columns, rows], whatever the elements stand for. */
function transpose(from: Elements, outer: number, rows: number, columns: number): Elements {
  const to = from.slice();
  for (let o = 0, start = 0; o < outer; ++o, start += rows * columns)
    for (let r = 0; r < rows; ++r)
      for (let c = 0, at = start + r * columns; c < columns; ++c)
        to[start + c * rows + r] = from[at + c]!;
  return to;
}

function arrange(
  bytes: Uint8Array,
  elementBytes: number,
  [outer, rows, columns]: readonly [number, number, number],
): Uint8Array {
  const done = transpose(elementsOf(bytes, elementBytes), outer, rows, columns);
  return new Uint8Array(done.buffer, done.byteOffset, done.byteLength);
}

function swapHalves(bytes: Uint8Array): Uint8Array {
  const half = bytes.byteLength / 2;
  const to = new Uint8Array(bytes.byteLength);
  to.set(bytes.subarray(half), 0);
  to.set(bytes.subarray(0, half), half);
  return to;
}

/**
 * A tensor's bytes from the order in memory to the order on disk.
 *
 * @param elementBytes - 1, 2 or 4
 * @param shape - the one on disk
 */
export function toDisk(
  bytes: Uint8Array,
  elementBytes: number,
  shape: readonly number[],
  layout: Layout,
): Uint8Array {
  const [a = 1, b = 1, c = 1, d = 1] = shape;
  switch (layout) {
    case "same":
      return bytes;
    case "transposed":
      return arrange(bytes, elementBytes, [1, b, a]);
    case "convolution":
      return arrange(bytes, elementBytes, [a, c * d, b]);
    case "swappedHalves":
      return swapHalves(bytes);
  }
}
