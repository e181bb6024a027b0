// One right call of every function of the addon, on small odd sizes: what the fuzzer mutates.
import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { native, type Handle } from "../../ts/native/binding.js";

export type Call = (dtype: "float32" | "bfloat16") => unknown[];

const floats = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(1 + 3 * i));

/** A tensor of reproducible values. */
export function tensor(shape: number[], dtype = "float32"): Handle {
  const n = shape.reduce((a, b) => a * b, 1);
  if (n === 0) return native.tensorEmpty(shape, dtype, "cpu");
  if (dtype === "int32") return native.tensorFrom(new Int32Array(n).fill(1), shape, dtype, "cpu");
  if (dtype === "uint8") return native.tensorFrom(new Uint8Array(n).fill(3), shape, dtype, "cpu");
  const wide = native.tensorFrom(floats(n), shape, "float32", "cpu");
  return dtype === "float32" ? wide : native.cast(wide, dtype);
}

function file(): string {
  const name = path.join(mkdtempSync(path.join(os.tmpdir(), "srpo-fuzz-")), "a.safetensors");
  const header = JSON.stringify({
    a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: "F32", shape: [], data_offsets: [24, 28] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(name, Buffer.concat([length, Buffer.from(header), Buffer.alloc(28)]));
  return name;
}

const [B, L, D] = [2, 3, 5];
const unary: Call = (d) => [tensor([B, L, D], d)];
const unaryBackward: Call = (d) => [tensor([B, L, D], d), tensor([B, L, D], d)];
const one = () => tensor([1]);
const random: Call = () => [[B, 7], 3n, 1, 2, [4, 5], 0, "float32", "cpu"];

/** Arguments by the function's name. Functions without any are called without. */
export const calls: Record<string, Call> = {
  tensorEmpty: (d) => [[2, 3], d, "cpu"],
  tensorZeros: (d) => [[2, 3], d, "cpu"],
  tensorFrom: () => [new Float32Array(6), [2, 3], "float32", "cpu"],
  tensorView: unaryWith(2, [3, 2]),
  tensorShape: unary,
  tensorDType: unary,
  tensorDevice: unary,
  tensorCopy: unaryBackward,
  tensorZero: unary,
  tensorDispose: unary,
  tensorDisposed: unary,
  tensorRead: unary,
  scopeEnd: (d) => [native.scopeBegin(), [tensor([2], d)]],
  scopeRelease: (d) => [[tensor([2], d)]],
  synchronize: () => ["cpu"],
  hasDevice: () => ["cpu"],
  cudaText: () => [],
  openEmulated: () => ["/nowhere/srpo_emulated.so"],
  emulatedSeed: () => [1],
  cpuSetThreads: () => [2],
  poolStats: () => ["cpu"],
  poolTrim: () => ["cpu"],
  opRows: () => ["cpu"],
  linearForward: (d) => [
    tensor([B, L, D], d),
    tensor([7, D], d),
    tensor([7], d),
    tensor([B, L, 7], d),
    tensor([B, 7], d),
    "silu",
    true,
  ],
  linearBackward: (d) => [
    tensor([B, L, 7], d),
    tensor([B, L, D], d),
    tensor([7, D], d),
    tensor([B, L, 7], d),
    tensor([B, 7], d),
    "gelu-tanh",
    tensor([7, D]),
    tensor([7]),
    true,
    true,
  ],
  matmulForward: (d) => [tensor([B, L, D], d), tensor([B, D, 4], d), false, false],
  accumulate: (d) => [tensor([L, D]), tensor([L, D], d)],
  addForward: unaryBackward,
  subForward: unaryBackward,
  mulForward: unaryBackward,
  cast: (d) => [tensor([B, L], d), "float32"],
  clampForward: unaryWith(-0.5, 0.5),
  clampBackward: (d) => [tensor([B], d), tensor([B], d), -0.5, 0.5],
  affineForward: unaryWith(2, 3),
  scaleForward: unaryWith(2),
  gatedResidualForward: (d) => [tensor([B, L, D], d), tensor([B, D], d), tensor([B, L, D], d)],
  gatedResidualBackward: (d) => [
    tensor([B, L, D], d),
    tensor([B, D], d),
    tensor([B, L, D], d),
    true,
    true,
  ],
  combineForward: (d) => [tensor([B, L], d), tensor([B, L], d), [1, 2], [3, 4], "float32"],
  timestepEmbedding: (d) => [[1, 500], 6, d, "cpu"],
  fill: unaryWith(2),
  conv2dForward: (d) => [
    tensor([B, 5, 4, 3], d),
    tensor([2, 3, 3, 3], d),
    tensor([2], d),
    tensor([B, 5, 4, 2], d),
    1,
    [1, 1, 1, 1],
    false,
    2,
  ],
  conv2dBackward: (d) => [
    tensor([B, 5, 4, 2], d),
    tensor([B, 5, 4, 3], d),
    tensor([2, 3, 3, 3], d),
    tensor([2, 3, 3, 3]),
    tensor([2]),
    true,
    1,
    [1, 1, 1, 1],
    false,
  ],
  concatForward: (d) => [[tensor([B, L], d), tensor([B, D], d)], 1],
  sliceForward: unaryWith(1, 1, 2),
  sliceBackward: (d) => [tensor([B, 2, D], d), [B, L, D], 1, 1],
  gatherRowsForward: unaryWith([0, 2]),
  gatherRowsBackward: (d) => [tensor([B, D], d), [0, 2], L],
  prependRowForward: (d) => [tensor([B, L, D], d), tensor([D], d)],
  prependRowBackward: (d) => [tensor([D]), tensor([B, L, D], d), true],
  addRowsForward: (d) => [tensor([B, L, D], d), tensor([L, D], d)],
  addRowsBackward: (d) => [tensor([L, D]), tensor([B, L, D], d)],
  embeddingForward: (d) => [tensor([7, D], d), [0, 6, 3], [L]],
  embeddingBackward: (d) => [tensor([7, D]), tensor([L, D], d), tensor([L], "int32")],
  safetensorsOpen: () => [file()],
  tensorFileOpen: () => [file(), []],
  tensorFileReadInto: (d) => [
    native.safetensorsOpen(file()).file,
    0,
    0,
    tensor([2, 3], d),
    0,
    0,
    1,
  ],
  tensorFileScalar: () => [native.safetensorsOpen(file()).file, 1],
  float8Encode: () => ["w", new Uint8Array(Float32Array.of(1, -2, 0.5).buffer)],
  tensorFileClose: () => [native.safetensorsOpen(file()).file],
  patchify: (d) => [tensor([B, 4, 6, 3], d), 2, "patchify", "picture"],
  unpatchify: (d) => [tensor([B, 6, 12], d), 4, 6, 2, "unpatchify", "tokens"],
  resizeCropNormalizeForward: (d) => [
    tensor([B, 7, 9, 3], d),
    5,
    "crop",
    true,
    [0, 0, 0],
    [1, 1, 1],
  ],
  resizeCropNormalizeBackward: (d) => [
    tensor([B, 5, 5, 3], d),
    [B, 7, 9, 3],
    "crop",
    true,
    [1, 1, 1],
  ],
  recoverForward: (d) => [
    tensor([B, 6, 12], d),
    tensor([B, 6, 12], d),
    tensor([B, 6, 12], d),
    [1, 2],
    4,
    6,
    0.3,
    0.1,
  ],
  recoverBackward: (d) => [tensor([B, 4, 6, 3], d), [1, 2], 0.3],
  groupNormForward: (d) => [
    tensor([B, 3, 2, 6], d),
    tensor([6], d),
    tensor([6], d),
    tensor([B, 3, 2], "float32"),
    3,
    1e-6,
    true,
  ],
  groupNormBackward: (d) => [
    tensor([6]),
    tensor([6]),
    tensor([B, 3, 2, 6], d),
    tensor([B, 3, 2, 6], d),
    tensor([6], d),
    tensor([6], d),
    tensor([B, 3]),
    tensor([B, 3]),
    true,
    true,
  ],
  modulatedLayerNormForward: (d) => [
    tensor([B, L, D], d),
    tensor([B, D], d),
    tensor([B, D], d),
    1e-6,
  ],
  modulatedLayerNormBackward: (d) => [
    tensor([B, L, D], d),
    tensor([B, L, D], d),
    tensor([B, D], d),
    tensor([B, L]),
    tensor([B, L]),
  ],
  layerNormForward: (d) => [tensor([B, L, D], d), tensor([D], d), tensor([D], d), 1e-5],
  layerNormBackward: (d) => [
    tensor([D]),
    tensor([D]),
    tensor([B, L, D], d),
    tensor([B, L, D], d),
    tensor([D], d),
    tensor([B * L]),
    tensor([B * L]),
    true,
  ],
  rmsNormForward: (d) => [tensor([B, L, D], d), tensor([D], d), 1e-6],
  rmsNormBackward: (d) => [
    tensor([D]),
    tensor([B, L, D], d),
    tensor([B, L, D], d),
    tensor([D], d),
    tensor([B * L]),
    true,
  ],
  attentionForward: (d) => [
    tensor([B, 2, 3, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([2, 3, 5]),
    tensor([B, 5], "int32"),
    0.5,
    false,
  ],
  attentionBackward: (d) => [
    tensor([B, 3, 8], d),
    tensor([B, 3, 8], d),
    tensor([B, 2, 3]),
    tensor([B, 2, 3, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([2, 3, 5]),
    tensor([B, 5], "int32"),
    0.5,
    false,
    tensor([2, 3, 5]),
  ],
  qkvNormRopeForward: (d) => [
    [tensor([B, 2, 24], d), tensor([B, 3, 24], d)],
    [tensor([4], d), tensor([4], d)],
    [tensor([4], d), tensor([4], d)],
    tensor([5, 2]),
    tensor([5, 2]),
    2,
    1e-6,
  ],
  qkvNormRopeBackward: (d) => [
    [tensor([B, 2, 24], d), tensor([B, 3, 24], d)],
    [tensor([4], d), tensor([4], d)],
    [tensor([4], d), tensor([4], d)],
    tensor([5, 2]),
    tensor([5, 2]),
    tensor([B, 2, 5, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([B, 2, 5, 4], d),
    tensor([B, 2, 5]),
    tensor([B, 2, 5]),
    [tensor([4]), tensor([4])],
    [tensor([4]), tensor([4])],
  ],
  relativeBiasForward: (d) => [tensor([8, 2], d), 5, 16],
  relativeBiasBackward: (d) => [tensor([2, 5, 5], d), tensor([8, 2]), 16],
  randn: random,
  rand: random,
  randomBits: () => [[B, 7], 3n, 1, 2, [4, 5], 0, "int32", "cpu"],
  sumForward: unary,
  meanForward: unary,
  sumBackward: (d) => [one(), tensor([B, L], d)],
  meanBackward: (d) => [one(), tensor([B, L], d)],
  hingeForward: (d) => [tensor([L], d), 0.7, 1],
  hingeBackward: (d) => [one(), tensor([L], d), 0.7, 1],
  mseForward: unaryBackward,
  mseBackward: (d) => [one(), tensor([B, L], d), tensor([B, L], d), true, true],
  softmaxCrossEntropyForward: (d) => [tensor([B, D], d), tensor([B], "int32")],
  softmaxCrossEntropyBackward: (d) => [one(), tensor([B, D], d), tensor([B], "int32"), tensor([B])],
  gaussianLogDensityForward: (d) => [tensor([B, L], d), tensor([B, L], d), [1, 2]],
  gaussianLogDensityBackward: (d) => [
    tensor([B]),
    tensor([B, L], d),
    tensor([B, L], d),
    [1, 2],
    true,
    true,
  ],
  l2NormalizeForward: (d) => [tensor([B, D], d), 1e-12],
  l2NormalizeBackward: (d) => [tensor([B, D], d), tensor([B, D], d), tensor([B]), 1e-12],
  relativeRewardForward: (d) => [
    tensor([B, D], d),
    tensor([4, D], d),
    tensor([B, 4]),
    tensor([B, 4]),
    [1, 2],
    10,
  ],
  relativeRewardBackward: (d) => [
    tensor([4, D]),
    tensor([B]),
    tensor([B, 4]),
    tensor([B, 4]),
    tensor([B]),
    tensor([B, D], d),
    tensor([4, D], d),
    tensor([B, 4]),
    tensor([B, 4]),
    [1, 2],
    10,
    true,
  ],
  globalNorm: unary,
  countNonFinite: () => [tensor([1], "int32"), one()],
  clip: (d) => [tensor([L, D], d), one(), 1],
  splitMaster: () => [tensor([7]), tensor([7], "bfloat16"), tensor([7, 2], "uint8")],
  joinMaster: () => [tensor([7], "bfloat16"), tensor([7, 2], "uint8")],
  emaUpdate: () => [tensor([7]), tensor([7], "bfloat16"), tensor([7, 2], "uint8"), 0.9],
  adamwStep: () => [
    tensor([7], "bfloat16"),
    tensor([7, 2], "uint8"),
    tensor([7]),
    tensor([7]),
    tensor([7]),
    one(),
    tensor([1], "int32"),
    1e-3,
    0.9,
    0.99,
    1e-8,
    0.01,
    1,
    1,
  ],
  microRender: () => [1n, 0, 0, [0], [0, 0, 0, 0, 0, 0], [0], 8, "float32", true],
};

function unaryWith(...rest: unknown[]): Call {
  return (d) => [tensor([B, L, D], d), ...rest];
}

for (const name of ["silu", "geluTanh", "geluErf", "quickGelu", "relu", "exp"]) {
  calls[`${name}Forward`] = unary;
  calls[`${name}Backward`] = unaryBackward;
}
