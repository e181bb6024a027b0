// C = A B by the tiles of tile.cuh, for what gemm_sm90 does not take: float32, strides and places that the
// copy engine cannot move, small sizes. Sums run in float, along K from the first to the last.

#include "cuda/gemm/gemm.h"

#include <utility>

#include "cpp/ops/gemm/gemm_split.h"
#include "cuda/common/activation.cuh"
#include "cuda/common/barrier.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/warp.cuh"
#include "cuda/gemm/gemm_sm90.h"
#include "cuda/gemm/tile.cuh"

namespace srpo::cuda {
namespace {

/// A [kTile, kPanel] part of an operand, transposed; zeros outside of rows x columns. Neighbouring
/// threads read neighbouring elements, whichever way the operand lies.
template <typename T>
SRPO_DEVICE void load_panel(float (&panel)[kPanel][kPadded], const T* data, int64_t row_stride,
                            int64_t column_stride, int64_t row, int64_t column, int64_t rows,
                            int64_t columns) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kPanel; i += kThreads) {
    const int r = column_stride == 1 ? i / kPanel : i % kTile;
    const int c = column_stride == 1 ? i % kPanel : i / kTile;
    const bool inside = row + r < rows && column + c < columns;
    panel[c][r] = inside ? float(data[(row + r) * row_stride + (column + c) * column_stride]) : 0.f;
  }
}

/// Returns what is stored, of a product that may be asked for squares.
template <typename Out>
SRPO_DEVICE float store(const GemmOutput& to, int64_t row, int64_t column, int64_t batch,
                        float sum) {
  const int64_t at = batch * to.batch_stride + row * to.stride + column;
  if (to.accumulate) return static_cast<float*>(to.out)[at] += sum;
  if (to.derivative_of != nullptr) {
    const float of = float(static_cast<const Out*>(to.derivative_of)[at]);
    static_cast<Out*>(to.out)[at] = Out(sum * activation_derivative(to.activation, of));
    return 0.f;
  }
  if (to.bias != nullptr) sum += float(static_cast<const Out*>(to.bias)[column]);
  if (to.pre != nullptr) static_cast<Out*>(to.pre)[row * to.pre_stride + column] = Out(sum);
  float value = activate(to.activation, sum);
  if (to.gate != nullptr)
    value *= float(static_cast<const Out*>(to.gate)[row / to.rows_of_sample * to.stride + column]);
  if (to.residual != nullptr) value += float(static_cast<const Out*>(to.residual)[at]);
  const auto stored = Out(value);
  static_cast<Out*>(to.out)[at] = stored;
  return float(stored);
}

/// Of what the block has stored, which lies in panels.sums: a warp a block of kSquareRows x kSquareColumns.
SRPO_DEVICE void put_squares(float* squares, const Panels& panels, int64_t M, int64_t N) {
  static_assert(kSquareColumns == kTile && kTile % kSquareRows == 0);
  block_barrier();
  const int first = warp() * kSquareRows;
  const int64_t row = int64_t{blockIdx.x} * kTile + first;
  if (first >= kTile || row >= M) return;
  float sum = 0.f;
  for (int i = lane(); i < kSquareRows * kTile; i += kWarp) {
    const float value = panels.sums[first + i / kTile][i % kTile];
    sum += value * value;
  }
  sum = warp_sum(sum);
  if (lane() == 0) squares[row / kSquareRows * ceil_div(N, kTile) + blockIdx.y] = sum;
}

template <typename T, typename Out>
__global__ void __launch_bounds__(kThreads)
    gemm_kernel(const GemmOutput output, const GemmOperand a, const GemmOperand b, int64_t M,
                int64_t N, int64_t K) {
  wait_for_earlier_kernel();
  auto& panels = shared_memory<Panels>();
  const int64_t row = int64_t{blockIdx.x} * kTile, column = int64_t{blockIdx.y} * kTile;
  const int64_t batch = blockIdx.z;
  const T* const A = static_cast<const T*>(a.data) + batch * a.batch_stride;
  const T* const B = static_cast<const T*>(b.data) + batch * b.batch_stride;

  float sums[kEach][kEach] = {};
  for (int64_t k = 0; k < K; k += kPanel) {
    load_panel(panels.a, A, a.row_stride, a.column_stride, row, k, M, K);
    load_panel(panels.b, B, b.column_stride, b.row_stride, column, k, N, K);
    block_barrier();
    multiply_panels(sums, panels);
    block_barrier();  // the next panel is written where this one is read
  }
  for_each_sum(sums, panels, [&](int i, int j, float sum) {
    float stored = 0.f;
    if (row + i < M && column + j < N) stored = store<Out>(output, row + i, column + j, batch, sum);
    if (output.squares != nullptr) panels.sums[i][j] = stored;
  });
  if (output.squares != nullptr) put_squares(output.squares, panels, M, N);
}

/// What adds to an output that is not float adds before the one rounding.
Gemm rounded_once(Gemm g) {
  if (g.output.accumulate && g.output_dtype != DType::kFloat32) {
    g.output.accumulate = false;
    g.output.residual = g.output.out;
  }
  return g;
}

}  // namespace

void gemm(const Gemm& product, Stream& stream) {
  const Gemm g = rounded_once(product);
  if (takes_gemm_sm90(g)) return gemm_sm90({&g, 1}, stream);
  if (g.output.before != nullptr) {
    for (const Gemm& part : split_columns(g)) gemm(part, stream);
    return;
  }
  const LaunchConfig config = {.grid = {ceil_div(g.M, kTile), ceil_div(g.N, kTile), g.batch},
                               .block = kThreads,
                               .shared = sizeof(Panels),
                               .stream = stream};
  visit_float(g.dtype, [&]<typename T>() {
    visit_float(g.output_dtype, [&]<typename Out>() {
      launch(gemm_kernel<T, Out>, config, g.output, g.a, g.b, g.M, g.N, g.K);
    });
  });
}

void gemm_pair(const Gemm& a, const Gemm& b, Stream& stream) {
  Gemm both[] = {rounded_once(a), rounded_once(b)};
  const bool add_to_one = a.output.out == b.output.out;
  if (add_to_one || !takes_gemm_sm90(both[0]) || !takes_gemm_sm90(both[1]) ||
      !go_together(both[0], both[1])) {
    gemm(a, stream);
    gemm(b, stream);
    return;
  }
  if (both[0].K < both[1].K) std::swap(both[0], both[1]);  // the longer tiles first
  gemm_sm90(both, stream);
}

}  // namespace srpo::cuda
