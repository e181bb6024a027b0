// Every op, one export a line.
export { modulatedLayerNorm } from "./norm/modulated_layer_norm.js";
