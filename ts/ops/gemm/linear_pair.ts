import { recordMany } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import {
  backwardOf,
  callBackward,
  forwardCall,
  savesPre,
  tensorsOf,
  type Activation,
  type LinearInputs,
} from "./linear_calls.js";

/**
 * `linear` of two streams with weights of their own: on a card one launch, forward and backward, where the
 * weights are alike in shape. On the cpu it has the bits of two linears.
 *
 * @param first - one stream: x, w, b, residual and gate as for `linear`
 * @param second - the other, of the same dtype and device
 * @param options.act - of both
 * @returns each stream's [..., N]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming linear's argument
 */
export function linearPair(
  first: LinearInputs,
  second: LinearInputs,
  { act = "none" }: { act?: Activation } = {},
): [Tensor, Tensor] {
  // Both or neither: where the one is wanted, the other costs less than a launch of its own.
  const save = savesPre(first, act) || savesPre(second, act);
  const [y1, pre1, y2, pre2] = native.linearPairForward(
    forwardCall(first, act, save),
    forwardCall(second, act, save),
  );
  const inputs = [...tensorsOf(first), ...tensorsOf(second)];
  const [a, b] = recordMany("linearPair", inputs, [y1, y2], ([dy1, dy2]) => {
    const backward = (all: LinearInputs, pre: typeof pre1, dy: typeof dy1) =>
      dy === undefined || !tensorsOf(all).some((t) => t?.requiresGrad === true)
        ? null
        : backwardOf(all, act, pre, dy);
    const [one, two] = [backward(first, pre1, dy1), backward(second, pre2, dy2)];
    const [of1, of2] = callBackward([one?.call ?? null, two?.call ?? null]);
    const none = [null, null, null, null, null];
    return [...(one?.gradients(...of1) ?? none), ...(two?.gradients(...of2) ?? none)];
  });
  return [a!, b!];
}
