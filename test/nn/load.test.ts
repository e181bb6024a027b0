import assert from "node:assert/strict";
import { suite } from "uvu";
import { diskBytes, loadParameters, type TensorSource } from "../../ts/nn/load.js";
import { convolution, thirds, transposed, whole, type NamesMap } from "../../ts/nn/names_map.js";
import type { Parameter } from "../../ts/nn/parameter.js";
import { ParameterSet } from "../../ts/nn/parameter_set.js";
import { sizeOf } from "../../ts/nn/parameter.js";
import { tensor } from "../../ts/tensor/tensor.js";

const of = (name: string, shape: readonly number[]): Parameter => ({
  name,
  shape,
  init: { kind: "zeros" },
});
const qkv = of("qkv", [6, 2]);
const conv = of("conv", [2, 3, 3, 5]);
const matrix = of("matrix", [3, 4]);
const halves = of("halves", [4, 2]);
const parameters = [qkv, conv, matrix, halves];
const map: NamesMap = {
  tensors: [
    ...thirds(["q", "k", "v"], qkv),
    convolution("conv", conv),
    transposed("matrix", matrix),
    whole("halves", halves, { layout: "swappedHalves" }),
  ],
  ignores: (disk) => disk === "position_ids",
};

/** Tensors in memory, behind the interface of a file; they count from 1, or from 100 a tensor. */
function source(shapes: ReadonlyMap<string, readonly number[]>): TensorSource {
  const values = new Map(
    [...shapes].map(([name, shape], i) => [
      name,
      Float32Array.from({ length: sizeOf(shape) }, (_, j) => 100 * i + j),
    ]),
  );
  return {
    origin: "here",
    names: () => shapes.keys(),
    shape: (name) => shapes.get(name)!,
    readInto: (name, to, { fromRow = 0, rows, transposed: swap } = {}) => {
      const shape = shapes.get(name)!;
      const row = sizeOf(shape) / shape[0]!;
      const end = rows === undefined ? undefined : (fromRow + rows) * row;
      let part = values.get(name)!.slice(fromRow * row, end);
      if (swap !== undefined) {
        const [r, c] = swap;
        part = part.map((_, at) => {
          const [run, inside] = [Math.trunc(at / (r * c)), at % (r * c)];
          return part[run * r * c + (inside % r) * c + Math.trunc(inside / r)]!;
        });
      }
      to.copyFrom(tensor(part, to.shape));
      return Promise.resolve();
    },
  };
}

const shapesOf = (): Map<string, readonly number[]> =>
  new Map(map.tensors.map(({ disk, shape }) => [disk, shape]));

const test = suite("loadParameters");

test("rows, permutations and swapped halves go where they belong, and back", async () => {
  const set = ParameterSet.create(parameters);
  const from = source(shapesOf());
  await loadParameters(set, map, from);
  assert.deepEqual([...(await set.rows("qkv", 2, 2).read())], [100, 101, 102, 103]);
  // conv[0, 1, 2, 3] is on disk at [0, 3, 1, 2]
  assert.equal((await set.get("conv").read())[(1 * 3 + 2) * 5 + 3], 300 + 3 * 9 + 1 * 3 + 2);
  assert.deepEqual([...(await set.get("matrix").read())].slice(0, 4), [400, 403, 406, 409]);
  assert.deepEqual([...(await set.get("halves").read())], [504, 505, 506, 507, 500, 501, 502, 503]);

  const all = new Uint8Array(await set.weights.readBytes());
  for (const [i, t] of map.tensors.entries()) {
    const back = diskBytes(set, t, all).slice();
    assert.deepEqual(
      [...new Float32Array(back.buffer, 0, sizeOf(t.shape))],
      Array.from({ length: sizeOf(t.shape) }, (_, j) => 100 * i + j),
      t.disk,
    );
  }
  set.dispose();
});

test("everything that is missing, misshapen or unexpected is named at once", async () => {
  const set = ParameterSet.create(parameters);
  const shapes = shapesOf();
  shapes.delete("k");
  shapes.delete("conv");
  shapes.set("matrix", [3, 4]);
  shapes.set("halves", [4]);
  shapes.set("position_ids", [1, 7]);
  shapes.set("lora.A", [1]);
  await assert.rejects(loadParameters(set, map, source(shapes)), {
    code: "ERR_CHECKPOINT",
    message:
      "load: here: missing: k, conv; of another shape: matrix: expected [4, 3], got [3, 4], " +
      "halves: expected [4, 2], got [4]; unexpected: lora.A",
  });
  assert.ok((await set.weights.read()).every((v) => v === 0));
  set.dispose();
});
test.run();
