// Gated residual: out = x + gate * y.
//
//   out, x, y, dy, dout  [B, L, D]  T
//   gate, dgate          [B, D]     T  one gate a sample, shared by its tokens
//
// Backward: dy = gate * dout; dgate = sum over L of dout * y, both from one pass over dout. T is float or
// bfloat16; every sum runs in float, part by part of a sample's rows, parts in a fixed order.

#include "cpp/ops/elementwise/gated_residual.h"

#include "cuda/common/column_sums.cuh"
#include "cuda/common/column_walk.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

/// `packed` asks that D is a multiple of a pack.
template <typename T>
__global__ void gated_residual_forward_kernel(T* out, const T* x, const T* gate, const T* y,
                                              int64_t L, int64_t D, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float sum[N], gates[N], branch[N];
    load_pack(sum, x + i);
    load_pack(gates, gate + i / (L * D) * D + i % D);
    load_pack(branch, y + i);
    for (int j = 0; j < N; ++j) sum[j] += gates[j] * branch[j];
    store_pack(out + i, sum);
  });
}

/// dy, and the sums of dout * y over the rows of each part; either may be null.
template <int N, typename T>
__global__ void gated_residual_backward_kernel(T* dy, float* parts, const T* dout, const T* gate,
                                               const T* y, const ColumnWalk walk) {
  wait_for_earlier_kernel();
  constexpr int kRows = 4;
  const int64_t column = walk.column<N>();
  float gates[N] = {}, sums[1][N] = {};
  if (column < walk.C) load_pack(gates, gate + walk.sample() * walk.C + column);
  Pack<T, N> of_dout[kRows], of_y[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) {
        load_pack(of_dout[k], dout + row * walk.C + column);
        if (parts != nullptr) load_pack(of_y[k], y + row * walk.C + column);
      },
      [&](int k, int64_t row) {
        float v[N];
        for (int j = 0; j < N; ++j) {
          const float g = float(of_dout[k].value[j]);
          v[j] = gates[j] * g;
          if (parts != nullptr) sums[0][j] += g * float(of_y[k].value[j]);
        }
        if (dy != nullptr) store_pack(dy + row * walk.C + column, v);
      });
  if (parts != nullptr) store_parts(parts, sums, walk);
}

template <typename T>
__global__ void gated_residual_add_parts_kernel(T* dgate, const float* parts, int64_t count,
                                                int64_t D) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, D, [=](float (&sums)[1], int64_t part, int64_t d) { sums[0] += parts[part * D + d]; },
      [=](const float (&sums)[1], int64_t b, int64_t d) { dgate[b * D + d] = T(sums[0]); });
}

}  // namespace

void gated_residual_forward(const GatedResidualForward& op, Stream& stream) {
  const auto [B, L, D] = op.x.sizes<3>();
  visit_float(op.x.dtype, [&, L = L, D = D]<typename T>() {
    const bool packed = packs<T>(op.x.pointer, D) && packs<T>(op.out.pointer) &&
                        packs<T>(op.gate.pointer) && packs<T>(op.y.pointer);
    launch(gated_residual_forward_kernel<T>, map_config<kPack<T>>(op.x.numel(), stream),
           op.out.data<T>(), op.x.data<T>(), op.gate.data<T>(), op.y.data<T>(), L, D, op.x.numel(),
           packed);
  });
}

void gated_residual_backward(const GatedResidualBackward& op, Stream& stream) {
  const auto [B, L, D] = op.y.sizes<3>();
  visit_float(op.y.dtype, [&, B = B, L = L, D = D]<typename T>() {
    const bool packed = packs<T>(op.dout.pointer, D) && packs<T>(op.dy.pointer) &&
                        packs<T>(op.gate.pointer) && packs<T>(op.y.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      const ColumnWalk walk = column_walk<N>(B, L, D);
      float* const parts = op.dgate ? scratch<float>(stream, B * walk.parts * D) : nullptr;
      launch(gated_residual_backward_kernel<N, T>, walk_config<N, 1>(walk, stream), op.dy.data<T>(),
             parts, op.dout.data<T>(), op.gate.data<T>(), op.y.data<T>(), walk);
      if (op.dgate)
        launch(gated_residual_add_parts_kernel<T>, column_config<1>(B, D, stream),
               op.dgate.data<T>(), parts, walk.parts, D);
    });
  });
}

}  // namespace srpo::cuda
