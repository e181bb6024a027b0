import { float8FromFloats } from "../../checkpoint/float8.js";
import type { TensorToWrite } from "../../checkpoint/write.js";
import { noGrad } from "../../autograd/tape.js";
import type { DiskTensor, NamesMap } from "../../nn/names_map.js";
import { tensorsToWrite } from "../../nn/save.js";
import { cast } from "../../ops/index.js";
import { tensorScope } from "../../tensor/scope.js";
import { tensorFromBytes } from "../../tensor/tensor.js";
import type { ParameterStream } from "./stream.js";

/** What the numbers of a written file are. */
export type WrittenDType = "float32" | "bfloat16" | "float8";

/** A tensor's bytes as they stand on disk, in the dtype of the stream. */
async function bytesOf(stream: ParameterStream, tensor: DiskTensor): Promise<Uint8Array> {
  const set = await stream.get(tensor.name);
  const [written] = tensorsToWrite(set, { tensors: [tensor], ignores: () => false });
  return "read" in written! ? written.read() : new Uint8Array();
}

/**
 * The tensors of a transformer under the names of `map`, each read when its turn comes. With `float8` the matrices
 * are F8_E4M3 and beside each stands the float that it is multiplied by (`scale_weight`), as ComfyUI reads them; the
 * rest is bfloat16.
 *
 * @param stream - float32 for `float8`, else of the dtype itself
 */
export function transformerTensors(
  stream: ParameterStream,
  map: NamesMap,
  dtype: WrittenDType,
  prefix = "",
): TensorToWrite[] {
  if (dtype !== "float8")
    return map.tensors.map((tensor) => ({
      name: prefix + tensor.disk,
      dtype: dtype === "float32" ? "F32" : "BF16",
      shape: tensor.shape,
      read: () => bytesOf(stream, tensor),
    }));
  const marker: TensorToWrite = {
    // Two elements: the arithmetic itself stays in 16 bits.
    name: `${prefix}scaled_fp8`,
    dtype: "F8_E4M3",
    shape: [2],
    read: () => new Uint8Array(2),
  };
  return [marker, ...map.tensors.flatMap((tensor) => float8Tensors(stream, tensor, prefix))];
}

function float8Tensors(
  stream: ParameterStream,
  tensor: DiskTensor,
  prefix: string,
): TensorToWrite[] {
  const name = prefix + tensor.disk;
  const { shape } = tensor;
  if (shape.length !== 2 || !name.endsWith(".weight"))
    return [
      { name, dtype: "BF16", shape, read: async () => rounded(await bytesOf(stream, tensor)) },
    ];
  const encoded = async () => float8FromFloats(name, await bytesOf(stream, tensor));
  return [
    { name, dtype: "F8_E4M3", shape, read: async () => (await encoded()).bytes },
    {
      name: name.replace(/weight$/, "scale_weight"),
      dtype: "F32",
      shape: [],
      read: async () => new Uint8Array(Float32Array.of((await encoded()).scale).buffer),
    },
  ];
}

/** Few floats as bfloat16: biases and the scales of norms. */
async function rounded(bytes: Uint8Array): Promise<Uint8Array> {
  using scope = tensorScope();
  void scope;
  const values = tensorFromBytes(bytes, [bytes.byteLength / 4], { dtype: "float32" });
  return new Uint8Array(await noGrad(() => cast(values, "bfloat16")).readBytes());
}
