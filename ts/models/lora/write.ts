// A LoRA under the names that other programs read.
//
//   diffusers   transformer.transformer_blocks.0.attn.to_q.lora_A.weight, .lora_B.weight   (PEFT)
//   kohya       lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight, .lora_up.weight, .alpha
//   bfl         double_blocks.0.img_attn.qkv.lora_A.weight, .lora_B.weight, .alpha
//   comfyui     the same after diffusion_model.
//
// W += alpha / rank B A. What changes rows of a fused weight is written for every module of the naming that has
// some of them; where several parts lie in one module, A is theirs one above the other, and B holds each at its
// own rows and columns: the same change, of the sum of their ranks.
import type { TensorToWrite } from "../../checkpoint/write.js";
import { loraName, type Lora, type LoraPart } from "../../nn/lora.js";
import type { DiskTensor } from "../../nn/names_map.js";
import { toBFloat16Bits } from "../../tensor/dtype.js";
import { release } from "../../tensor/scope.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { FluxConfig } from "../flux/config.js";
import { fluxNames } from "../flux/names.js";

export const loraNamings = ["diffusers", "kohya", "bfl", "comfyui"] as const;
export type LoraNaming = (typeof loraNamings)[number];

export interface LoraFileOptions {
  readonly naming: LoraNaming;
  readonly dtype: "float32" | "bfloat16";
  /** The flat buffer; default the LoRA's weights. */
  readonly from?: Tensor | undefined;
}

export interface LoraFile {
  readonly tensors: readonly TensorToWrite[];
  /** What programs of this naming look for in a file's metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Parts that share A, as those do that were one where the naming has several modules. */
interface Group {
  readonly a: LoraPart;
  readonly parts: LoraPart[];
}

interface Module {
  readonly target: DiskTensor;
  readonly groups: readonly Group[];
  readonly rank: number;
  /** What B is multiplied by as it is written, and what stands for it in the file. */
  readonly alpha: number;
  readonly scaleOf: (part: LoraPart) => number;
}

const named: Readonly<Record<LoraNaming, (module: string) => string>> = {
  diffusers: (module) => `transformer.${module}`,
  kohya: (module) => `lora_unet_${module.replaceAll(".", "_")}`,
  bfl: (module) => module,
  comfyui: (module) => `diffusion_model.${module}`,
};

/** The numbers of A or B. */
async function numbers(lora: Lora, name: string, from: Tensor): Promise<Float32Array> {
  const { offset, size } = lora.parameters.range(name);
  const view = release(from.viewOf(offset, [size]));
  try {
    return Float32Array.from(await view.read());
  } finally {
    view.dispose();
  }
}

const matrixOf = (lora: Lora, part: LoraPart, which: "A" | "B", from: Tensor) =>
  numbers(lora, `${loraName(part)}.${which}`, from);

/** Parts with the same A, as floats compare, in the order of their rows. */
async function groupsOf(lora: Lora, parts: readonly LoraPart[], from: Tensor): Promise<Group[]> {
  if (parts.length === 1) return [{ a: parts[0]!, parts: [...parts] }];
  const groups: (Group & { values: Float32Array })[] = [];
  for (const part of parts) {
    const values = await matrixOf(lora, part, "A", from);
    const same = groups.find(
      (group) =>
        group.a.rank === part.rank &&
        group.a.factor === part.factor &&
        group.values.every((v, i) => v === values[i]),
    );
    if (same === undefined) groups.push({ a: part, parts: [part], values });
    else same.parts.push(part);
  }
  return groups;
}

async function moduleOf(
  lora: Lora,
  target: DiskTensor,
  { naming, from }: { naming: LoraNaming; from: Tensor },
): Promise<Module | undefined> {
  const [rows = 0, inputs = 1] = target.shape;
  const first = target.offset / inputs;
  const parts = lora.parts
    .filter(
      (part) =>
        part.weight === target.name && part.row < first + rows && first < part.row + part.rows,
    )
    .toSorted((a, b) => a.row - b.row);
  if (parts.length === 0) return undefined;
  const groups = await groupsOf(lora, parts, from);
  const rank = groups.reduce((sum, { a }) => sum + a.rank, 0);
  const [{ factor }] = parts as [LoraPart];
  // Diffusers' naming has no alpha, and not every program reads its metadata: the factor stands in B there.
  const inB = naming === "diffusers" || parts.some((part) => part.factor !== factor);
  return {
    target,
    groups,
    rank,
    alpha: inB ? rank : factor * rank,
    scaleOf: (part) => (inB ? part.factor : 1),
  };
}

function bytesIn(dtype: "float32" | "bfloat16", values: Float32Array): Uint8Array {
  if (dtype === "float32") return new Uint8Array(values.buffer);
  return new Uint8Array(Uint16Array.from(values, toBFloat16Bits).buffer);
}

async function readA(lora: Lora, { groups }: Module, from: Tensor): Promise<Float32Array> {
  const matrices = await Promise.all(groups.map(({ a }) => matrixOf(lora, a, "A", from)));
  const all = new Float32Array(matrices.reduce((sum, m) => sum + m.length, 0));
  let at = 0;
  for (const m of matrices) {
    all.set(m, at);
    at += m.length;
  }
  return all;
}

async function readB(lora: Lora, module: Module, from: Tensor): Promise<Float32Array> {
  const { target, groups, rank, scaleOf } = module;
  const [rows = 0, inputs = 1] = target.shape;
  const first = target.offset / inputs;
  const all = new Float32Array(rows * rank);
  // Diffusers keeps the halves of the output norm's modulation the other way round.
  const turned = target.layout === "swappedHalves" ? rows / 2 : 0;
  let column = 0;
  for (const { a, parts } of groups) {
    for (const part of parts) {
      const b = await matrixOf(lora, part, "B", from);
      const scale = scaleOf(part);
      const [start, end] = [
        Math.max(part.row, first),
        Math.min(part.row + part.rows, first + rows),
      ];
      for (let row = start; row < end; ++row) {
        const to = ((row - first + turned) % rows) * rank + column;
        const own = (row - part.row) * part.rank;
        for (let i = 0; i < part.rank; ++i) all[to + i] = scale * b[own + i]!;
      }
    }
    column += a.rank;
  }
  return all;
}

function tensorsOf(
  lora: Lora,
  module: Module,
  { naming, dtype, from }: Required<LoraFileOptions> & { from: Tensor },
): TensorToWrite[] {
  const { target, rank, alpha } = module;
  const [rows = 0, inputs = 0] = target.shape;
  const name = named[naming](target.disk.slice(0, -".weight".length));
  const [a, b] = naming === "kohya" ? ["lora_down", "lora_up"] : ["lora_A", "lora_B"];
  const disk = dtype === "float32" ? "F32" : "BF16";
  const matrix = (
    which: string | undefined,
    shape: readonly number[],
    read: () => Promise<Float32Array>,
  ): TensorToWrite => ({
    name: `${name}.${which}.weight`,
    dtype: disk,
    shape,
    read: async () => bytesIn(dtype, await read()),
  });
  const scalar: TensorToWrite = {
    name: `${name}.alpha`,
    dtype: "F32",
    shape: [],
    read: () => new Uint8Array(Float32Array.of(alpha).buffer),
  };
  return [
    matrix(a, [rank, inputs], () => readA(lora, module, from)),
    matrix(b, [rows, rank], () => readB(lora, module, from)),
    ...(naming === "diffusers" ? [] : [scalar]),
  ];
}

/** PEFT's config as diffusers keeps it, sd-scripts' as ComfyUI's users know it. */
function metadataOf(modules: readonly Module[], naming: LoraNaming): Record<string, string> {
  const rank = Math.max(...modules.map((module) => module.rank));
  if (naming !== "diffusers")
    return naming === "kohya"
      ? { ss_network_module: "networks.lora_flux", ss_network_dim: String(rank) }
      : {};
  const nameOf = ({ target }: Module) => target.disk.slice(0, -".weight".length);
  const others = Object.fromEntries(
    modules.filter((m) => m.rank !== rank).map((m) => [nameOf(m), m.rank]),
  );
  const peft = {
    r: rank,
    lora_alpha: rank,
    rank_pattern: others,
    alpha_pattern: others,
    target_modules: modules.map(nameOf),
  };
  const prefixed = Object.entries(peft).map(([key, value]) => [`transformer.${key}`, value]);
  return { lora_adapter_metadata: JSON.stringify(Object.fromEntries(prefixed)) };
}

/** What to write of a LoRA in a naming; the matrices are read when their turn comes. Its `strength` is not part of it. */
export async function loraFile(
  lora: Lora,
  config: FluxConfig,
  { naming, dtype, from = lora.parameters.weights }: LoraFileOptions,
): Promise<LoraFile> {
  const modules: Module[] = [];
  for (const target of fluxNames(config, naming === "diffusers" ? "diffusers" : "bfl").tensors) {
    if (target.shape.length !== 2) continue;
    const module = await moduleOf(lora, target, { naming, from });
    if (module !== undefined) modules.push(module);
  }
  return {
    tensors: modules.flatMap((module) => tensorsOf(lora, module, { naming, dtype, from })),
    metadata: metadataOf(modules, naming),
  };
}
