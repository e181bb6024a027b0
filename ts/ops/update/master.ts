import { native } from "../../native/binding.js";
import { Tensor } from "../../tensor/tensor.js";

/**
 * Writes a float32 master as bfloat16 weights and the 16 bits a weight that rebuild it exactly.
 * The weight is the master rounded, ties away from zero; the remainder its lower 16 bits.
 *
 * @param master - [n], float32
 * @param weights - [n], bfloat16, written
 * @param remainder - [n, 2], uint8, written
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function splitMaster(master: Tensor, weights: Tensor, remainder: Tensor): void {
  native.splitMaster(master.handle, weights.handle, remainder.handle);
}

/**
 * The float32 master of bfloat16 weights, to the last bit. A remainder of zeros makes the weights
 * themselves the master.
 *
 * @param weights - [n], bfloat16
 * @param remainder - [n, 2], uint8
 * @returns [n], float32
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE or ERR_DEVICE, naming the argument
 */
export function joinMaster(weights: Tensor, remainder: Tensor): Tensor {
  return new Tensor(native.joinMaster(weights.handle, remainder.handle));
}
