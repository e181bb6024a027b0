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
