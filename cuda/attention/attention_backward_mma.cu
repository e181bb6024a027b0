// Attention backward with mma: the gradients of q, k and v, see attention.cu for the equations.
//
//   q, k, v, dq, dk, dv   [B, N, L, Dh]   bfloat16
//   dout                  [B, Lq, N*Dh]   bfloat16,   lse, delta [B, N, Lq] float
//
// One kernel for dk and dv, a block 64 keys of a head, which goes through the queries; it makes the scores
// transposed, keys as rows, so that p and ds stay in registers for the second products. One for dq, a
// block 64 queries, which goes through the keys. A warp has 16 rows of its own: every sum has one writer
// and one order. The other side comes by tiles of 32 rows, the next copied while one is used.

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
constexpr int kOwn = kWarps * 16;  // rows of a block
constexpr int kOther = 32;         // rows of a tile of the other side

template <int Dh>
struct Shared {
  TileRows<Dh, kOwn> own[2];         // k and v, or q and dout
  TileRows<Dh, kOther> other[2][2];  // of each stage: q and dout, or k and v
  float lse[2][kOther], delta[2][kOther];
};

struct Saved {
  const bfloat16 *q, *k, *v, *dout;
  const float *lse, *delta;
};

/// Where dout's rows of a head begin; they lie N * Dh apart.
SRPO_DEVICE const bfloat16* dout_of(const Saved& saved, const Scores<bfloat16>& scores,
                                    int64_t head) {
  return saved.dout + (head / scores.N * scores.Lq * scores.N + head % scores.N) * scores.Dh;
}

/// p of a product of q and k, from the row's lse in base 2.
template <bool kPlain>
SRPO_DEVICE float probability(float product, float lse, const Scores<bfloat16>& scores,
                              int64_t head, int64_t i, int64_t j) {
  if constexpr (kPlain)
    return j < scores.Lk ? approximate_exp2(fmaf(product, scores.scale * kLog2E, -lse)) : 0.f;
  else
    return approximate_exp2(fmaf(scores(product, head, i, j), kLog2E, -lse));
}

template <int Dh, bool kPlain>
__global__ void __launch_bounds__(kThreads)
    attention_backward_keys_mma_kernel(bfloat16* dk, bfloat16* dv, const Saved saved,
                                       const Scores<bfloat16> scores, int64_t key_tiles) {
  wait_for_earlier_kernel();
  auto& shared = shared_memory<Shared<Dh>>();
  const int64_t head = blockIdx.x / key_tiles, first = blockIdx.x % key_tiles * kOwn;
  const int64_t Lq = scores.Lq, Lk = scores.Lk;
  const bfloat16 *q = saved.q + head * Lq * Dh, *dout = dout_of(saved, scores, head);
  const int row0 = warp() * 16, g = lane() / 4, c = lane() % 4 * 2;

  const auto copy_queries = [&](int stage, int64_t query) {
    copy_rows<Dh, kOther>(shared.other[stage][0], q, Dh, query, Lq, kThreads);
    copy_rows<Dh, kOther>(shared.other[stage][1], dout, scores.N * Dh, query, Lq, kThreads);
    copy_commit();
    // Past the last query p becomes exp(-infinity).
    const int64_t i = query + threadIdx.x;
    if (threadIdx.x < kOther) {
      shared.lse[stage][threadIdx.x] = i < Lq ? saved.lse[head * Lq + i] * kLog2E : INFINITY;
      shared.delta[stage][threadIdx.x] = i < Lq ? saved.delta[head * Lq + i] : 0.f;
    }
  };
  const int64_t begin = scores.causal ? first : 0;
  copy_rows<Dh, kOwn>(shared.own[0], saved.k + head * Lk * Dh, Dh, first, Lk, kThreads);
  copy_rows<Dh, kOwn>(shared.own[1], saved.v + head * Lk * Dh, Dh, first, Lk, kThreads);
  copy_queries(0, begin);

  float dk_sums[1][Dh / 8][4] = {}, dv_sums[1][Dh / 8][4] = {};
  int stage = 0;
  for (int64_t query = begin; query < Lq; query += kOther, stage = 1 - stage) {
    copy_wait<0>();
    block_barrier();  // the tile is there, and all are done with the one before
    if (query + kOther < Lq) copy_queries(1 - stage, query + kOther);
    float p[1][kOther / 8][4] = {}, ds[1][kOther / 8][4] = {};
    multiply_rows<Dh, 1, kOther>(p, shared.own[0] + row0, shared.other[stage][0]);
    multiply_rows<Dh, 1, kOther>(ds, shared.own[1] + row0, shared.other[stage][1]);
#pragma unroll
    for (int t = 0; t < kOther / 8; ++t)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int i = t * 8 + c + e % 2;
        float& value = p[0][t][e];
        value = probability<kPlain>(value, shared.lse[stage][i], scores, head, query + i,
                                    first + row0 + g + e / 2 * 8);
        ds[0][t][e] = value * (ds[0][t][e] - shared.delta[stage][i]);
      }
    gather_rows<Dh, 1, kOther>(dv_sums, p, shared.other[stage][1]);
    gather_rows<Dh, 1, kOther>(dk_sums, ds, shared.other[stage][0]);
  }
  copy_wait<0>();
  block_barrier();  // where no query sees these keys, the first copies have just landed
  const int64_t at = (head * Lk + first + row0) * Dh, rows = Lk - first - row0;
  const float scale[1][2] = {{scores.scale, scores.scale}}, one[1][2] = {{1.f, 1.f}};
  store_rows<Dh, 1>(dk + at, Dh, rows, shared.own[0] + row0, dk_sums, scale);
  store_rows<Dh, 1>(dv + at, Dh, rows, shared.own[1] + row0, dv_sums, one);
}

template <int Dh, bool kPlain>
__global__ void __launch_bounds__(kThreads)
    attention_backward_queries_mma_kernel(bfloat16* dq, const Saved saved,
                                          const Scores<bfloat16> scores, int64_t query_tiles) {
  wait_for_earlier_kernel();
  auto& shared = shared_memory<Shared<Dh>>();
  const int64_t head = blockIdx.x / query_tiles, first = blockIdx.x % query_tiles * kOwn;
  const int64_t Lq = scores.Lq, Lk = scores.Lk;
  const int64_t last = scores.causal && first + kOwn < Lk ? first + kOwn : Lk;
  const bfloat16 *k = saved.k + head * Lk * Dh, *v = saved.v + head * Lk * Dh;
  const int row0 = warp() * 16, g = lane() / 4, c = lane() % 4 * 2;

  const auto copy_keys = [&](int stage, int64_t key) {
    copy_rows<Dh, kOther>(shared.other[stage][0], k, Dh, key, Lk, kThreads);
    copy_rows<Dh, kOther>(shared.other[stage][1], v, Dh, key, Lk, kThreads);
    copy_commit();
  };
  copy_rows<Dh, kOwn>(shared.own[0], saved.q + head * Lq * Dh, Dh, first, Lq, kThreads);
  copy_rows<Dh, kOwn>(shared.own[1], dout_of(saved, scores, head), scores.N * Dh, first, Lq,
                      kThreads);
  copy_keys(0, 0);
  float lse[2], delta[2];  // of rows g and g + 8
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t i = first + row0 + half * 8 + g;
    lse[half] = i < Lq ? saved.lse[head * Lq + i] * kLog2E : INFINITY;
    delta[half] = i < Lq ? saved.delta[head * Lq + i] : 0.f;
  }

  float sums[1][Dh / 8][4] = {};
  int stage = 0;
  for (int64_t key = 0; key < last; key += kOther, stage = 1 - stage) {
    copy_wait<0>();
    block_barrier();  // the tile is there, and all are done with the one before
    if (key + kOther < last) copy_keys(1 - stage, key + kOther);
    float p[1][kOther / 8][4] = {}, ds[1][kOther / 8][4] = {};
    multiply_rows<Dh, 1, kOther>(p, shared.own[0] + row0, shared.other[stage][0]);
    multiply_rows<Dh, 1, kOther>(ds, shared.own[1] + row0, shared.other[stage][1]);
#pragma unroll
    for (int t = 0; t < kOther / 8; ++t)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        ds[0][t][e] = probability<kPlain>(p[0][t][e], lse[e / 2], scores, head,
                                          first + row0 + g + e / 2 * 8, key + t * 8 + c + e % 2) *
                      (ds[0][t][e] - delta[e / 2]);
    gather_rows<Dh, 1, kOther>(sums, ds, shared.other[stage][0]);
  }
  const float scale[1][2] = {{scores.scale, scores.scale}};
  store_rows<Dh, 1>(dq + (head * Lq + first + row0) * Dh, Dh, Lq - first - row0,
                    shared.own[0] + row0, sums, scale);
}

template <int Dh, bool kPlain>
void run(const AttentionBackward& op, const float* delta, Stream& stream) {
  const Scores<bfloat16> scores = scores_of<bfloat16>(op);
  const Saved saved = {.q = op.q.data<bfloat16>(),
                       .k = op.k.data<bfloat16>(),
                       .v = op.v.data<bfloat16>(),
                       .dout = op.dout.data<bfloat16>(),
                       .lse = op.lse.data<float>(),
                       .delta = delta};
  const int64_t heads = op.q.dim(0) * scores.N;
  const int64_t key_tiles = ceil_div(scores.Lk, kOwn), query_tiles = ceil_div(scores.Lq, kOwn);
  const auto config = [&](int64_t tiles) {
    return LaunchConfig{
        .grid = heads * tiles, .block = kThreads, .shared = sizeof(Shared<Dh>), .stream = stream};
  };
  launch(attention_backward_keys_mma_kernel<Dh, kPlain>, config(key_tiles), op.dk.data<bfloat16>(),
         op.dv.data<bfloat16>(), saved, scores, key_tiles);
  launch(attention_backward_queries_mma_kernel<Dh, kPlain>, config(query_tiles),
         op.dq.data<bfloat16>(), saved, scores, query_tiles);
}

template <int Dh>
bool run(const AttentionBackward& op, const float* delta, Stream& stream) {
  if (!op.bias && !op.key_mask && !op.causal)
    run<Dh, true>(op, delta, stream);
  else
    run<Dh, false>(op, delta, stream);
  return true;
}

}  // namespace

bool attention_backward_mma(const AttentionBackward& op, const float* delta, Stream& stream) {
  for (const TensorView& t : {op.q, op.k, op.v, op.dout, op.dq, op.dk, op.dv})
    if (t.dtype != DType::kBFloat16 || !packs<bfloat16>(t.pointer)) return false;
  const int64_t Dh = op.q.dim(3);
  if (Dh == 64) return run<64>(op, delta, stream);
  if (Dh == 80) return run<80>(op, delta, stream);
  return Dh == 128 && run<128>(op, delta, stream);
}

}  // namespace srpo::cuda
