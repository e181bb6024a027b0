import type { Handle } from "../handle.js";

/** What cpp/binding/quantize.cpp registers. */
export interface QuantizeRows {
  quantizeRows(x: Handle, codes: Handle, scales: Handle): void;
  dequantizeRows(codes: Handle, scales: Handle, dtype: string): Handle;
}
