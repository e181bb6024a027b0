import type { OpenOptions } from "../models/open.js";
import { rewardKindAt } from "../models/open_scores.js";
import { AestheticReward } from "./aesthetic_reward.js";
import { ImageTextReward } from "./image_reward.js";
import { TwoTowerReward } from "./two_tower_reward.js";

/** Every reward that there is. */
export type AnyReward = TwoTowerReward | AestheticReward | ImageTextReward;

/**
 * Opens a reward, a file or a folder, by what it holds: two towers (HPSv2.1, PickScore, CLIP), the aesthetic
 * predictor or ImageReward.
 *
 * @param options.vocabulary - a CLIP tokenizer's folder, for two towers that bring none
 * @throws SrpoError ERR_CONFIG, ERR_CHECKPOINT
 */
export async function openReward(
  place: string,
  { vocabulary, ...options }: OpenOptions & { vocabulary?: string },
): Promise<AnyReward> {
  switch (rewardKindAt(place)) {
    case "aesthetic":
      return AestheticReward.load(place, options);
    case "image-reward":
      return ImageTextReward.load(place, options);
    case "two-tower":
      return TwoTowerReward.load(place, {
        ...options,
        ...(vocabulary === undefined ? {} : { vocabulary }),
      });
  }
}
