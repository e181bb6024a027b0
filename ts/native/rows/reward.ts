import type { Handle } from "../handle.js";

/** What cpp/binding/reward.cpp registers. */
export interface RewardRows {
  l2NormalizeForward(x: Handle, eps: number): [y: Handle, norm: Handle];
  l2NormalizeBackward(dy: Handle, x: Handle, norm: Handle, eps: number): Handle;
  relativeRewardForward(
    pooled: Handle,
    projection: Handle,
    positive: Handle,
    negative: Handle,
    k: readonly number[],
    scale: number,
  ): [reward: Handle, features: Handle, norm: Handle];
  /** Adds to dprojection. */
  relativeRewardBackward(
    dprojection: Handle | null,
    dreward: Handle | null,
    dfeatures: Handle | null,
    features: Handle,
    norm: Handle,
    pooled: Handle,
    projection: Handle,
    positive: Handle,
    negative: Handle,
    k: readonly number[],
    scale: number,
    wantsDpooled: boolean,
  ): Handle | null;
}
