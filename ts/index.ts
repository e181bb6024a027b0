// The public surface, and nothing else.
export { backward } from "./autograd/backward.js";
export { recompute } from "./autograd/recompute.js";
export { noGrad, requireGrad } from "./autograd/tape.js";
export { SafetensorsFile } from "./checkpoint/safetensors.js";
export { writeSafetensors } from "./checkpoint/write.js";
export { controlPrompts, srpoControlWords } from "./methods/control_words.js";
export { DirectAlign, type DirectAlignOptions } from "./methods/direct_align.js";
export { Draft, type DraftOptions } from "./methods/draft.js";
export { DraftLv, type DraftLvOptions } from "./methods/draft_lv.js";
export { draws } from "./methods/draws.js";
export { AutoencoderDecoder, FluxPolicy } from "./methods/flux_policy.js";
export { groupDraws } from "./methods/grpo/draws.js";
export { Grpo, type GrpoOptions, type GrpoParts } from "./methods/grpo/grpo.js";
export { danceGrpo, flowGrpo } from "./methods/grpo/presets.js";
export type {
  Batch,
  Method,
  PlainReward,
  Policy,
  RelativeReward,
  Reward,
  Term,
} from "./methods/method.js";
export { directAlign, draft, draftLv, refl, srpoHps, srpoPickScore } from "./methods/presets.js";
export { Refl, type ReflOptions } from "./methods/refl.js";
export { Srpo, type SrpoOptions, type SrpoParts } from "./methods/srpo.js";
export { Window } from "./methods/window.js";
export { Autoencoder } from "./models/autoencoder/model.js";
export { ClipText } from "./models/clip/text_model.js";
export { TwoTower } from "./models/clip/two_tower.js";
export { Flux } from "./models/flux/model.js";
export {
  loadAutoencoder,
  loadTextEncoders,
  loadTransformer,
  loadTwoTower,
} from "./models/pipeline/load.js";
export { T5Encoder } from "./models/t5/model.js";
export { codeOf, SrpoError } from "./native/error.js";
export { packageVersion } from "./native/load.js";
export * as ops from "./ops/index.js";
export { AdamW } from "./optim/adamw.js";
export { AestheticReward } from "./rewards/aesthetic_reward.js";
export { ImageTextReward } from "./rewards/image_reward.js";
export { openReward, type AnyReward } from "./rewards/open_reward.js";
export { TwoTowerReward } from "./rewards/two_tower_reward.js";
export { denoise } from "./sampler/denoise.js";
export { inferenceSigmas, shiftedSigmas } from "./sampler/schedule.js";
export {
  hasDevice,
  limitMemory,
  memoryLeft,
  memoryOf,
  synchronize,
  type Device,
} from "./tensor/device.js";
export type { DType } from "./tensor/dtype.js";
export { release, tensorScope, tidy } from "./tensor/scope.js";
export { empty, Tensor, tensor, tensorFromBytes, zeros } from "./tensor/tensor.js";
export { ClipTokenizer } from "./text/clip_tokenizer.js";
export { T5Tokenizer } from "./text/t5_tokenizer.js";
export { trainConfig, type TrainConfig } from "./train/config.js";
export { RunFolder } from "./train/run_folder.js";
export { Trainer } from "./train/trainer.js";
