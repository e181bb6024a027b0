// Every op, one export a line.
export { add } from "./elementwise/add.js";
export { cast } from "./elementwise/cast.js";
export { modulatedLayerNorm } from "./norm/modulated_layer_norm.js";
export { reshape } from "./layout/reshape.js";
export { layerNorm } from "./norm/layer_norm.js";
export { rmsNorm } from "./norm/rms_norm.js";
export { conv2d, type Padding } from "./conv/conv2d.js";
