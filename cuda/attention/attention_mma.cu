// Attention forward with mma: out = softmax(scale * q k^T + bias) v, see attention.cu.
//
//   q    [B, N, Lq, Dh]   bfloat16    a block 128 queries of one head, a warp 32 of them
//   k, v [B, N, Lk, Dh]   bfloat16    by tiles of kKeys, the next copied while one is used
//   out  [B, Lq, N*Dh or more]  bfloat16,   lse [B, N, Lq] float
//
// A warp's scores stay in registers: what the first product leaves in a lane is what the second takes
// from it, once rounded to bfloat16 (FlashAttention-2, Dao 2023, sec. 3.3). Exponentials run in base 2,
// sums and the rescaled output in float.

#include "cuda/attention/attention_mma.h"

#include "cuda/attention/mma_tiles.cuh"
#include "cuda/attention/scores.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/math.cuh"
#include "cuda/common/shared.cuh"

namespace srpo::cuda {
namespace {

using namespace attention;

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRowTiles = 2;                     // of 16 queries, of a warp
constexpr int kWarpQueries = kRowTiles * 16;     // 32
constexpr int kQueries = kWarps * kWarpQueries;  // 128
constexpr int kStages = 2;

template <int Dh, int kKeys>
struct Shared {
  TileRows<Dh, kQueries> q;  // in the end the output
  TileRows<Dh, kKeys> k[kStages], v[kStages];
};

/// kPlain: no bias, mask or causal rule, and a positive scale.
template <int Dh, int kKeys, bool kPlain>
__global__ void __launch_bounds__(kThreads)
    attention_forward_mma_kernel(bfloat16* out, int64_t out_stride, float* lse, const bfloat16* q,
                                 const bfloat16* k, const bfloat16* v,
                                 const Scores<bfloat16> scores, int64_t query_tiles) {
  wait_for_earlier_kernel();
  auto& shared = shared_memory<Shared<Dh, kKeys>>();
  const int64_t head = blockIdx.x / query_tiles, first = blockIdx.x % query_tiles * kQueries;
  const int64_t Lq = scores.Lq, Lk = scores.Lk;
  const int64_t last = scores.causal && first + kQueries < Lk ? first + kQueries : Lk;
  q += head * Lq * Dh;
  k += head * Lk * Dh;
  v += head * Lk * Dh;
  const int g = lane() / 4, c = lane() % 4 * 2;  // where a lane's four elements of a tile lie
  const int64_t row0 = first + warp() * kWarpQueries + g;
  const float factor = kPlain ? scores.scale * kLog2E : kLog2E;  // of a score, towards base 2

  copy_rows<Dh, kQueries>(shared.q, q, Dh, first, Lq, kThreads);
  copy_rows<Dh, kKeys>(shared.k[0], k, Dh, 0, Lk, kThreads);
  copy_rows<Dh, kKeys>(shared.v[0], v, Dh, 0, Lk, kThreads);
  copy_commit();

  float o[kRowTiles][Dh / 8][4] = {};
  float most[kRowTiles][2],
      total[kRowTiles][2] = {};  // of rows g and g + 8; total: this lane's part
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) most[m][0] = most[m][1] = -INFINITY;

  int stage = 0;
  for (int64_t key = 0; key < last; key += kKeys, stage = 1 - stage) {
    copy_wait<0>();
    block_barrier();  // the tile is there, and all are done with the one before
    if (key + kKeys < last) {
      copy_rows<Dh, kKeys>(shared.k[1 - stage], k, Dh, key + kKeys, Lk, kThreads);
      copy_rows<Dh, kKeys>(shared.v[1 - stage], v, Dh, key + kKeys, Lk, kThreads);
      copy_commit();
    }
    float s[kRowTiles][kKeys / 8][4] = {};
    multiply_rows<Dh, kRowTiles, kKeys>(s, shared.q + warp() * kWarpQueries, shared.k[stage]);
    if (!kPlain || key + kKeys > Lk)
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m)
#pragma unroll
        for (int t = 0; t < kKeys / 8; ++t)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const int64_t j = key + t * 8 + c + e % 2;
            if constexpr (kPlain)
              s[m][t][e] = j < Lk ? s[m][t][e] : -INFINITY;
            else
              s[m][t][e] = scores(s[m][t][e], head, row0 + m * 16 + e / 2 * 8, j);
          }
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float higher = most[m][half];
#pragma unroll
        for (int t = 0; t < kKeys / 8; ++t)
          higher = fmaxf(higher, fmaxf(s[m][t][2 * half], s[m][t][2 * half + 1]));
        higher = warp_max(higher, 4);
        // A row that has seen no key yet: from 0, so that nothing is infinity minus infinity.
        const float base = higher == -INFINITY ? 0.f : higher * factor;
        const float shrink = approximate_exp2(fmaf(most[m][half], factor, -base));
        most[m][half] = higher;
        total[m][half] *= shrink;
#pragma unroll
        for (int t = 0; t < kKeys / 8; ++t)
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            s[m][t][e] = approximate_exp2(fmaf(s[m][t][e], factor, -base));
            total[m][half] += s[m][t][e];
          }
#pragma unroll
        for (int t = 0; t < Dh / 8; ++t) {
          o[m][t][2 * half] *= shrink;
          o[m][t][2 * half + 1] *= shrink;
        }
      }
    gather_rows<Dh, kRowTiles, kKeys>(o, s, shared.v[stage]);
  }

  float inverse[kRowTiles][2];
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = warp_sum(total[m][half], 4);
      inverse[m][half] = sum == 0.f ? 0.f : 1.f / sum;
      const int64_t i = row0 + m * 16 + half * 8;
      if (c == 0 && i < Lq)
        lse[head * Lq + i] = sum == 0.f ? INFINITY : most[m][half] * factor * kLn2 + logf(sum);
    }
  // By way of the queries' space, of which a warp has read its own rows only.
  const int64_t b = head / scores.N, n = head % scores.N, row = first + warp() * kWarpQueries;
  store_rows<Dh, kRowTiles>(out + (b * Lq + row) * out_stride + n * Dh, out_stride, Lq - row,
                            shared.q + warp() * kWarpQueries, o, inverse);
}

/// kKeys: as many as leave the scores room in registers beside the output.
template <int Dh, int kKeys>
void run(const AttentionForward& op, Stream& stream) {
  const auto scores = scores_of<bfloat16>(op);
  const int64_t query_tiles = ceil_div(scores.Lq, kQueries);
  const LaunchConfig config = {.grid = op.q.dim(0) * scores.N * query_tiles,
                               .block = kThreads,
                               .shared = sizeof(Shared<Dh, kKeys>),
                               .stream = stream};
  const bool plain = !op.bias && !op.key_mask && !op.causal && op.scale > 0.f;
  launch(plain ? attention_forward_mma_kernel<Dh, kKeys, true>
               : attention_forward_mma_kernel<Dh, kKeys, false>,
         config, op.out.data<bfloat16>(), op.out.dim(2), op.lse.data<float>(),
         op.q.data<bfloat16>(), op.k.data<bfloat16>(), op.v.data<bfloat16>(), scores, query_tiles);
}

}  // namespace

bool attention_forward_mma(const AttentionForward& op, Stream& stream) {
  for (const TensorView& t : {op.q, op.k, op.v, op.out})
    if (t.dtype != DType::kBFloat16 || !packs<bfloat16>(t.pointer, t.dim(-1))) return false;
  switch (op.q.dim(3)) {
    case 64:
      run<64, 64>(op, stream);
      return true;
    case 80:
      run<80, 64>(op, stream);
      return true;
    case 128:
      run<128, 32>(op, stream);
      return true;
    default:
      return false;
  }
}

}  // namespace srpo::cuda
