export { forEachDevice, type Test } from "./devices.js";
export { checkBfloat16, checkGradients } from "./gradients.js";
export { collectGarbage, memoryInUse } from "./garbage.js";
export { relativeError, assertWithin, assertRelative } from "./errors.js";
export { leaf, randn, toFloat64, uniforms } from "./tensors.js";
export { assertSameBitsForThreads, refuses } from "./refusals.js";
