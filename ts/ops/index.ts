// Every op, one export a line.
export { add } from "./elementwise/add.js";
export { cast } from "./elementwise/cast.js";
export { linear, type Activation, type LinearOptions } from "./gemm/linear.js";
export { matmul } from "./gemm/matmul.js";
export { mlp, type Layer, type MlpOptions } from "./gemm/mlp.js";
export { modulatedLayerNorm } from "./norm/modulated_layer_norm.js";
export { reshape } from "./layout/reshape.js";
export { layerNorm } from "./norm/layer_norm.js";
export { rmsNorm } from "./norm/rms_norm.js";
export { conv2d, conv2dWithStatistics, type Conv2dOptions, type Padding } from "./conv/conv2d.js";
export { concat } from "./layout/concat.js";
export { slice } from "./layout/slice.js";
export { gatherRows } from "./layout/gather_rows.js";
export { prependRow } from "./layout/prepend_row.js";
export { addRows } from "./layout/add_rows.js";
export { embedding } from "./embedding/embedding.js";
export { attention, type AttentionOptions } from "./attention/attention.js";
export { attentionMlp } from "./attention/attention_mlp.js";
export { qkvNormRope, type QkvNormRopeOptions, type QkvStream } from "./attention/qkv_norm_rope.js";
export { qkvProjection, type QkvProjectionStream } from "./attention/qkv_projection.js";
export { relativeBias } from "./attention/relative_bias.js";
export { ropeTable, type RopeTable } from "./attention/rope_table.js";
export { rand } from "./random/rand.js";
export { randn } from "./random/randn.js";
export { randomBits } from "./random/random_bits.js";
export { purposes } from "./random/purposes.js";
export { randomInteger, randomIntegers, randomPermutation } from "./random/random_integer.js";
export { gaussianLogDensity } from "./loss/gaussian_log_density.js";
export { hinge } from "./loss/hinge.js";
export { mean } from "./loss/mean.js";
export { mse } from "./loss/mse.js";
export { softmaxCrossEntropy } from "./loss/softmax_cross_entropy.js";
export { sum } from "./loss/sum.js";
export { l2Normalize } from "./reward/l2_normalize.js";
export { relativeReward } from "./reward/relative_reward.js";
export { packLatent, patchify, unpackLatent } from "./resample/patchify.js";
export { recover } from "./recovery/recover.js";
export { resizeCropNormalize } from "./resample/resize_crop_normalize.js";
export { groupNorm } from "./norm/group_norm.js";
export { affine } from "./elementwise/affine.js";
export { clamp } from "./elementwise/clamp.js";
export { combine, type Coefficients } from "./elementwise/combine.js";
export { fill } from "./elementwise/fill.js";
export { gatedResidual } from "./elementwise/gated_residual.js";
export { gelu, type GeluKind } from "./elementwise/gelu.js";
export { mul } from "./elementwise/mul.js";
export { relu } from "./elementwise/relu.js";
export { scale } from "./elementwise/scale.js";
export { silu } from "./elementwise/silu.js";
export { sub } from "./elementwise/sub.js";
export { timestepEmbedding } from "./elementwise/timestep_embedding.js";
export { split } from "./layout/split.js";
export { exp } from "./elementwise/exp.js";
export {
  adamwStep,
  momentBlock,
  type FactoredGradient,
  type RandomRounding,
} from "./update/adamw_step.js";
export { clip } from "./update/clip.js";
export { countNonFinite, factoredNorm, globalNorm } from "./update/global_norm.js";
export { emaUpdate } from "./update/ema_update.js";
export { joinMaster, splitMaster } from "./update/master.js";
export { batchNorm, batchStatistics } from "./norm/batch_norm.js";
export { dequantizeRows, quantizeRows } from "./quantize/quantize_rows.js";
