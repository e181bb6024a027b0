import { replayAutoencoder } from "./autoencoder.js";
import { replayFlux } from "./flux.js";
import { replayFluxLora } from "./flux_lora.js";
import type { Replay } from "./replay.js";
import { replayRope } from "./rope.js";
import { replayClipText, replayT5 } from "./text_encoders.js";
import { replayAesthetic, replayImageReward } from "./scores.js";
import { replayScheduler } from "./scheduler.js";
import { replaySrpoStep } from "./srpo_step.js";
import { replayHfClip, replayOpenClip } from "./two_tower.js";

/** Which replay serves which network, by the `module` of a fixture's metadata; the first match wins. */
const replays: readonly (readonly [module: RegExp, replay: Replay])[] = [
  [/^diffusers FluxTransformer2DModel$/, replayFlux],
  [/^diffusers FluxTransformer2DModel \+ peft LoRA$/, replayFluxLora],
  [/^black-forest-labs flux\.model\.Flux$/, replayFlux],
  [/^diffusers FluxPosEmbed\b/, replayRope],
  [/^diffusers AutoencoderKL\b/, replayAutoencoder],
  [/^transformers CLIPTextModel\b/, replayClipText],
  [/^transformers T5EncoderModel\b/, replayT5],
  [/^transformers CLIPModel\b/, replayHfClip],
  [/^open_clip\.CLIP\b/, replayOpenClip],
  [/^transformers SigLIP vision tower\b/, replayAesthetic],
  [/^ImageReward\b/, replayImageReward],
  [/^diffusers FlowMatchEulerDiscreteScheduler\b/, replayScheduler],
  [/^Tencent-Hunyuan SRPO\b/, replaySrpoStep],
];

/** The replay of a network, or undefined: an unknown one is a failure, not a skip. */
export function replayOf(module: string): Replay | undefined {
  return replays.find(([pattern]) => pattern.test(module))?.[1];
}
