import { needsGradient, recordMany } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Handle } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";
import { callBackward, forwardCall, type Activation } from "./linear_calls.js";
import { backwardOf, tensorsOf, type MlpInputs, type MlpSaved } from "./mlp_calls.js";

/**
 * `mlp` of two streams with weights of their own, layer by layer side by side; see `linearPair`.
 *
 * @param first - one stream: x, both layers, residual and gate as for `mlp`
 * @param second - the other, of the same dtype and device
 * @param options.act - of both, between their layers
 * @returns each stream's [..., N]
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming linear's argument
 */
export function mlpPair(
  first: MlpInputs,
  second: MlpInputs,
  { act }: { act: Activation },
): [Tensor, Tensor] {
  const both = [first, second] as const;
  // Both or neither, as in linearPair.
  const slopes = act !== "none" && both.some(({ x, up }) => needsGradient(x, ...up));
  const gates = both.some(({ gate }) => needsGradient(gate));
  const ups = both.map(({ x, up: [w, b] }) => forwardCall({ x, w, b }, act, slopes));
  const [hidden1, pre1, hidden2, pre2] = native.linearPairForward(ups[0]!, ups[1]!);
  const downOf = ({ x, down: [w, b], ...end }: MlpInputs, hidden: Handle) => {
    const call = forwardCall({ x, w, b, ...end }, "none", gates);
    call[0] = hidden;
    return call;
  };
  const [y1, preGate1, y2, preGate2] = native.linearPairForward(
    downOf(first, hidden1),
    downOf(second, hidden2),
  );
  const inputs = both.flatMap(tensorsOf);
  const [a, b] = recordMany("mlpPair", inputs, [y1, y2], ([dy1, dy2]) => {
    const backward = (all: MlpInputs, saved: MlpSaved, dy: Handle | undefined) =>
      dy === undefined || !tensorsOf(all).some((t) => t?.requiresGrad === true)
        ? null
        : backwardOf(all, act, saved, dy);
    const one = backward(first, { hidden: hidden1, pre: pre1, preGate: preGate1 }, dy1);
    const two = backward(second, { hidden: hidden2, pre: pre2, preGate: preGate2 }, dy2);
    const [[dpre1, dgate1], [dpre2, dgate2]] = callBackward([one?.down ?? null, two?.down ?? null]);
    const [[dx1], [dx2]] = callBackward([one?.up(dpre1) ?? null, two?.up(dpre2) ?? null]);
    for (const dpre of [dpre1, dpre2]) if (dpre !== null) native.tensorDispose(dpre);
    const none = [null, null, null, null, null, null, null];
    return [...(one?.gradients(dx1, dgate1) ?? none), ...(two?.gradients(dx2, dgate2) ?? none)];
  });
  return [a!, b!];
}
