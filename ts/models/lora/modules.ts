// The modules of FLUX under all the names that LoRA files give them.
import type { DiskTensor } from "../../nn/names_map.js";
import type { FluxConfig } from "../flux/config.js";
import { fluxNames } from "../flux/names.js";

/** A module of the file and the rows of our weight that it stands for. */
export type LoraTargets = ReadonlyMap<string, DiskTensor>;

// XLabs: the processors of a double block's two streams.
const xlabs: Readonly<Record<string, string>> = {
  "img_attn.qkv": "processor.qkv_lora1",
  "img_attn.proj": "processor.proj_lora1",
  "txt_attn.qkv": "processor.qkv_lora2",
  "txt_attn.proj": "processor.proj_lora2",
};
const underscored = ["lora_unet_", "lora_transformer_", "lycoris_"];

/**
 * Every linear layer of a transformer by its name in BFL's and diffusers' naming, with dots (diffusers, PEFT,
 * ComfyUI, BFL) and with underscores (sd-scripts), and in XLabs' form.
 */
export function loraTargets(config: FluxConfig): LoraTargets {
  const targets = new Map<string, DiskTensor>();
  for (const naming of ["bfl", "diffusers"] as const)
    for (const tensor of fluxNames(config, naming).tensors) {
      if (!tensor.disk.endsWith(".weight") || tensor.shape.length !== 2) continue;
      const module = tensor.disk.slice(0, -".weight".length);
      targets.set(module, tensor);
      for (const prefix of underscored) targets.set(prefix + module.replaceAll(".", "_"), tensor);
      const [, block, part] = /^(double_blocks\.\d+)\.(.+)$/.exec(module) ?? [];
      const processor = part === undefined ? undefined : xlabs[part];
      if (processor !== undefined) targets.set(`${block}.${processor}`, tensor);
    }
  return targets;
}

const prefixes =
  /^(?:base_model\.model\.)?(?:transformer\.|diffusion_model\.|model\.diffusion_model\.|unet\.)?/;

/** A module's name in a file without what programs put before it. */
export function withoutPrefix(module: string): string {
  return module.replace(prefixes, "");
}

/** Whether a module is a text encoder's, which adapters of the transformer leave alone. */
export function isTextEncoder(module: string): boolean {
  return /^(?:text_encoder(?:_2)?\.|lora_te\d?_)/.test(module);
}
