import type { TensorToWrite } from "../checkpoint/write.js";
import { cast } from "../ops/elementwise/cast.js";
import { noGrad } from "../autograd/tape.js";
import { bytesOf } from "../tensor/dtype.js";
import { release } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { toDisk } from "./layout.js";
import type { DiskTensor, NamesMap } from "./names_map.js";
import { sizeOf } from "./parameter.js";
import type { ParameterSet } from "./parameter_set.js";

/**
 * A model's tensors under their names on disk, for ts/checkpoint to write; each is read back when its turn
 * comes.
 *
 * @param options.dtype - of the file; default the weights' own
 * @param options.from - the flat buffer; default the set's weights (an EMA has one of its own)
 */
export function tensorsToWrite(
  set: ParameterSet,
  map: NamesMap,
  { dtype = set.dtype, from = set.weights }: { dtype?: "float32" | "bfloat16"; from?: Tensor } = {},
): TensorToWrite[] {
  return map.tensors.map((tensor) => ({
    name: tensor.disk,
    shape: tensor.shape,
    dtype: dtype === "float32" ? "F32" : "BF16",
    read: () => readBack(set, tensor, dtype, from),
  }));
}

async function readBack(
  set: ParameterSet,
  { name, offset, shape, layout }: DiskTensor,
  dtype: "float32" | "bfloat16",
  from: Tensor,
): Promise<Uint8Array> {
  const start = set.range(name).offset + offset;
  const values = release(from.viewOf(start, [sizeOf(shape)]));
  const converted = release(noGrad(() => cast(values, dtype)));
  try {
    const bytes = new Uint8Array(await converted.readBytes());
    return toDisk(bytes, bytesOf[dtype], shape, layout);
  } finally {
    converted.dispose();
    values.dispose();
  }
}
