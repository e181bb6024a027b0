import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The moving average of a flat range, in place: `ema = decay ema + (1 - decay) weights`.
 *
 * @param ema - [n], float32
 * @param weights - [n], float32 or bfloat16
 * @param options.remainder - [n, 2], uint8, with bfloat16 weights: the average follows their masters
 * @param options.decay - 0 to 1
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 */
export function emaUpdate(
  ema: Tensor,
  weights: Tensor,
  { remainder = null, decay }: { remainder?: Tensor | null | undefined; decay: number },
): void {
  native.emaUpdate(ema.handle, weights.handle, remainder?.handle ?? null, decay);
}
