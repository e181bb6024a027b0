// Every op, one export a line.
export { add } from "./elementwise/add.js";
export { cast } from "./elementwise/cast.js";
export { modulatedLayerNorm } from "./norm/modulated_layer_norm.js";
export { reshape } from "./layout/reshape.js";
export { layerNorm } from "./norm/layer_norm.js";
export { rmsNorm } from "./norm/rms_norm.js";
export { conv2d, type Padding } from "./conv/conv2d.js";
export { concat } from "./layout/concat.js";
export { slice } from "./layout/slice.js";
export { gatherRows } from "./layout/gather_rows.js";
export { prependRow } from "./layout/prepend_row.js";
export { addRows } from "./layout/add_rows.js";
export { embedding } from "./embedding/embedding.js";
export { attention, type AttentionOptions } from "./attention/attention.js";
export { qkvNormRope, type QkvNormRopeOptions, type QkvStream } from "./attention/qkv_norm_rope.js";
export { relativeBias } from "./attention/relative_bias.js";
export { ropeTable, type RopeTable } from "./attention/rope_table.js";
