// A = (R - mean of the prompt's group) / (std + eps), bounded by +-limit: how much better a picture is
// than the others of its prompt. On the host: there are as many numbers as pictures.

import { SrpoError } from "../../native/error.js";

export interface AdvantageOptions {
  /** What the std is of: the prompt's own group, or all of the update's rewards (`global_std`). */
  spread: "group" | "update";
  /** Over n - 1 (torch.std: DanceGRPO) or over n (numpy.std: Flow-GRPO). */
  deviation: "sample" | "population";
  /** Added to the std; 1e-8 in DanceGRPO, 1e-4 in Flow-GRPO. */
  eps: number;
  /** The largest advantage in size; 5. */
  limit: number;
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation, over n - 1 or n. */
export function deviationOf(
  values: readonly number[],
  kind: AdvantageOptions["deviation"],
): number {
  const mean = average(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - (kind === "sample" ? 1 : 0)));
}

/**
 * The advantages of an update's pictures. A group's sum to 0 unless one reaches the limit.
 *
 * @param rewards - a group a prompt, each of 2 or more
 * @throws SrpoError ERR_CONFIG for a group of one, whose advantage is always 0
 */
export function groupAdvantages(
  rewards: readonly (readonly number[])[],
  { spread, deviation, eps, limit }: AdvantageOptions,
): number[][] {
  for (const group of rewards)
    if (group.length < 2)
      throw new SrpoError(
        "ERR_CONFIG",
        `groupAdvantages: rewards: expected groups of 2 or more, got one of ${group.length}`,
      );
  const all = spread === "update" ? deviationOf(rewards.flat(), deviation) : undefined;
  return rewards.map((group) => {
    const mean = average(group);
    const std = (all ?? deviationOf(group, deviation)) + eps;
    return group.map((reward) => Math.max(-limit, Math.min(limit, (reward - mean) / std)));
  });
}
