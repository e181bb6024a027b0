// Loads one generated file and says what that took: the peak of this process beyond the weights' own memory.
//
//   stream_child.js <safetensors | torch> <tiny | t5-xxl | flux-dev> <folder>
import { rmSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import { fluxConfig, fluxDev, type FluxConfig } from "../../ts/models/flux/config.js";
import { fluxNames } from "../../ts/models/flux/names.js";
import { openFlux, openT5 } from "../../ts/models/open.js";
import { t5XxlConfigJson } from "../../ts/models/public_configs.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { t5Names } from "../../ts/models/t5/names.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import { sizeOf } from "../../ts/nn/parameter.js";
import { sparseSafetensors, sparseZip } from "../support/sparse_files.js";
import { pickleOf, tensorOf } from "../checkpoint/torch_bytes.js";

const [container, size, folder] = process.argv.slice(2) as [string, string, string];
const file = path.join(folder, `${size}.${container === "torch" ? "pt" : "safetensors"}`);

/** A third as wide as FLUX.1, and seven of its blocks: 180 MB. */
const small: FluxConfig = {
  ...fluxConfig({ guidance_embeds: true }),
  heads: 8,
  depth: 2,
  depthSingleBlocks: 5,
  contextSize: 1024,
};
const config = size === "flux-dev" ? fluxDev : small;
const map: NamesMap =
  size === "t5-xxl" ? t5Names(t5Config(t5XxlConfigJson)) : fluxNames(config, "diffusers");

// Float32 in the file and bfloat16 in memory: each element is converted on its way.
if (container === "torch") {
  const entries = map.tensors.map(({ disk, shape }, i) => {
    const strides = shape.map((_, d) => sizeOf(shape.slice(d + 1)));
    return [disk, tensorOf({ key: String(i), elements: sizeOf(shape), shape, strides })] as const;
  });
  const content = pickleOf({ dict: entries });
  const members = map.tensors.map(({ shape }, i) => ({
    name: `a/data/${i}`,
    bytes: 4 * sizeOf(shape),
  }));
  const pickle = { name: "a/data.pkl", bytes: content.length, content };
  sparseZip(file, [pickle, ...members], (bytes) => crc32(bytes));
} else {
  const tensors = map.tensors.map(({ disk, shape }) => [disk, { dtype: "F32", shape }] as const);
  sparseSafetensors(file, Object.fromEntries(tensors));
}

const before = process.resourceUsage().maxRSS * 1024;
let heap = 0;
let calls = 0;
const started = performance.now();
const onProgress = () => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  heap = Math.max(heap, heapUsed + arrayBuffers);
  ++calls;
};
const options = { dtype: "bfloat16", onProgress } as const;
const model = await (size === "t5-xxl" ? openT5(file, options) : openFlux(file, options));
const seconds = (performance.now() - started) / 1000;
const weights = 2 * model.parameters.weights.size;
const peak = process.resourceUsage().maxRSS * 1024;
model.dispose();
rmSync(file);
process.stdout.write(
  `${JSON.stringify({ weights, beyond: peak - before - weights, heap, calls, tensors: map.tensors.length, seconds })}\n`,
);
