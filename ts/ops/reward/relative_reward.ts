import { recordMany, weightGradient } from "../../autograd/tape.js";
import { native } from "../../native/binding.js";
import type { Tensor } from "../../tensor/tensor.js";

/**
 * The semantic-relative reward of a two-tower model's image side:
 * `features = normalize(pooled projection^T)`,
 * `reward = scale * features . ((1 + k) positive - negative)`.
 * With k = 0 and a negative of zeros it is the plain cosine reward.
 *
 * @param pooled - [B, W], float32 or bfloat16; the image tower's pooled row
 * @param projection - [E, W], dtype of pooled
 * @param options.positive - [B, E], float32 or bfloat16; normalised text features, no gradient
 * @param options.negative - [B, E], likewise
 * @param options.k - B numbers: SRPO's discounts
 * @param options.scale - default 1; PickScore's exp(logit_scale)
 * @returns reward [B] and features [B, E], both float32; gradients reach pooled and projection
 * @throws SrpoError ERR_SHAPE, ERR_DTYPE, ERR_DEVICE or ERR_RANGE, naming the argument
 * @see SRPO, arXiv:2509.06942 sec. 3.2
 */
export function relativeReward(
  pooled: Tensor,
  projection: Tensor,
  {
    positive,
    negative,
    k,
    scale = 1,
  }: { positive: Tensor; negative: Tensor; k: readonly number[]; scale?: number },
): { reward: Tensor; features: Tensor } {
  const [rewardHandle, featuresHandle, norm] = native.relativeRewardForward(
    pooled.handle,
    projection.handle,
    positive.handle,
    negative.handle,
    k,
    scale,
  );
  const [reward, features] = recordMany(
    "relativeReward",
    [pooled, projection],
    [rewardHandle, featuresHandle],
    ([dreward, dfeatures]) => {
      const { into, result } = weightGradient(projection);
      const dpooled = native.relativeRewardBackward(
        into,
        dreward ?? null,
        dfeatures ?? null,
        featuresHandle,
        norm,
        pooled.handle,
        projection.handle,
        positive.handle,
        negative.handle,
        k,
        scale,
        pooled.requiresGrad,
      );
      return [dpooled, result];
    },
  );
  return { reward: reward!, features: features! };
}
