// What the two warpgroups of attention's backward on Hopper do between their products: a tile is 80 queries and
// 128 keys, 64 of them a group's rows. Products lie as head_tiles.cuh says, keys as rows, queries as columns.
#pragma once
#include "cuda/attention/attention_backward_sm90.h"
#include "cuda/attention/head_tiles.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/math.cuh"

namespace srpo::cuda::attention {

constexpr int kGroups = 2;
constexpr int kQueries = kBackwardQueries;
constexpr int kKeys = kGroups * kGroupRows;

/// A group's ds^T, as its product left it, to where dq's product finds ds.
SRPO_DEVICE void put_ds(HeadTile<kQueries>& to, const Weights<kQueries>& ds, int group) {
  const int chunk = warp() % 4 * 2 + lane() / 8 % 2;  // of eight keys
#pragma unroll
  for (int t = 0; t < kQueries / 16; ++t) {
    const int query = t * 16 + lane() / 16 * 8 + lane() % 8;
    store_matrices<true>(&to.part[group][query][(chunk ^ lane() % 8) * 8], ds[t]);
  }
}

/// dq^T [64 channels of the group, 80 queries] = k^T ds^T.
SRPO_DEVICE void multiply_ds(float (&dq)[kQueries / 2], const HeadTile<kGroupRows> (&k)[kGroups],
                             const HeadTile<kQueries>& ds, int group) {
#pragma unroll
  for (int t = 0; t < kKeys / 16; ++t) {
    const auto& rows = k[t / 4].part[group];
    wgmma<kQueries, Major::kMN, Major::kK>(dq, further(wgmma_descriptor(&rows), t % 4 * 16 * 128),
                                           further(wgmma_descriptor(&ds.part[t / 4]), t % 4 * 32),
                                           t > 0);
  }
}

/// p = 2^(f s - lse) in place of the products; `keys`: how many of the group's rows there are.
SRPO_DEVICE void weigh(float (&s)[kQueries / 2], const float (&lse)[kQueries], float factor,
                       int keys) {
  const int row = warp() % 4 * 16 + lane() / 4, c = lane() % 4 * 2;
#pragma unroll
  for (int j = 0; j < kQueries / 8; ++j) {
    float of[2];
    load_pack(of, &lse[j * 8 + c]);
#pragma unroll
    for (int e = 0; e < 4; ++e)
      s[4 * j + e] = approximate_exp2(fmaf(s[4 * j + e], factor, -of[e % 2]));
  }
  if (keys < kGroupRows)  // whatever the factor's sign makes of them
#pragma unroll
    for (int j = 0; j < kQueries / 2; ++j)
      if (row + j % 4 / 2 * 8 >= keys) s[j] = 0.f;
}

/// ds = p (dp - delta) in place of dp.
SRPO_DEVICE void differentiate(float (&dp)[kQueries / 2], const float (&p)[kQueries / 2],
                               const float (&delta)[kQueries]) {
#pragma unroll
  for (int j = 0; j < kQueries / 8; ++j) {
    float of[2];
    load_pack(of, &delta[j * 8 + lane() % 4 * 2]);
#pragma unroll
    for (int e = 0; e < 4; ++e) dp[4 * j + e] = p[4 * j + e] * (dp[4 * j + e] - of[e % 2]);
  }
}

}  // namespace srpo::cuda::attention
