// Linear: pre = x w^T + b, a = activation(pre), y = residual + gate * a.
//
//   x, dx                     [M, K]  T       M rows, S samples of M / S
//   y, pre, residual, dy      [M, N]  T
//   w, b, gate                [N, K], [N], [S, N]  T
//
// Backward, with dpre = dy * gate * activation'(pre), in T:
//   dx     = dpre w
//   dw    += dpre^T x                             float, or bfloat16 as x
//   db    += sum over all rows of dpre            float
//   dgate  = sum over a sample's rows of dy * a
//
// T is float or bfloat16; every sum runs in float, the epilogue on sums that were not yet rounded.

#include "cpp/ops/gemm/linear.h"

#include <algorithm>
#include <vector>

#include "cpp/cpu/gemm/gemm.h"
#include "cpp/cpu/gemm/linear_kernels.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/reduce.h"
#include "cpp/cpu/visit.h"
#include "cpp/ops/gemm/linear_products.h"

namespace srpo::cpu {
namespace {

// A partial sum of db and dgate is over this many rows, and a block of work this many columns wide.
// Fixed, so that the sums do not depend on threads.
constexpr int64_t kRowsOfPart = 64;
constexpr int64_t kColumnsOfBlock = 512;

template <typename T>
const auto& kernel() {
  static const auto& best = best_of(linear_generic, linear_avx2, linear_avx512);
  if constexpr (sizeof(T) == 4)
    return best.f32;
  else
    return best.bf16;
}

template <typename T>
void backward_rows(const LinearBackward& op) {
  const int64_t M = op.dy.rows(), N = op.dy.dim(-1);
  const int64_t S = op.gate ? op.gate.dim(0) : 1, L = M / S;
  const int64_t parts = (L + kRowsOfPart - 1) / kRowsOfPart;
  const int64_t columns = (N + kColumnsOfBlock - 1) / kColumnsOfBlock;
  const bool sums_db = static_cast<bool>(op.db), sums_dgate = static_cast<bool>(op.dgate);
  std::vector<float> db(sums_db ? S * parts * N : 0), dgate(sums_dgate ? S * parts * N : 0);
  T* dpre = op.dpre ? op.dpre.data<T>() : nullptr;

  parallel_blocks(S * parts * columns, [&](int64_t block) {
    const int64_t part = block / columns, column = block % columns * kColumnsOfBlock;
    const int64_t sample = part / parts, row = sample * L + part % parts * kRowsOfPart;
    const int64_t at = row * N + column;
    kernel<T>()(dpre == nullptr ? nullptr : dpre + at,
                sums_db ? db.data() + part * N + column : nullptr,
                sums_dgate ? dgate.data() + part * N + column : nullptr, op.dy.data<T>() + at,
                op.pre ? op.pre.data<T>() + at : nullptr,
                op.gate ? op.gate.data<T>() + sample * N + column : nullptr,
                std::min(kRowsOfPart, (sample + 1) * L - row),
                std::min(kColumnsOfBlock, N - column), N, op.activation);
  });

  for (int64_t part = 0; sums_db && part < S * parts; ++part)
    for (int64_t j = 0; j < N; ++j) op.db.data<float>()[j] += db[part * N + j];
  for (int64_t sample = 0; sums_dgate && sample < S; ++sample) {
    float* total = dgate.data() + sample * parts * N;
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t j = 0; j < N; ++j) total[j] += total[part * N + j];
    write(op.dgate.data<T>() + sample * N, total, N);
  }
}

/// Of dw's blocks, in another pass: a block is no tile of the product's.
void block_squares(const LinearBackward& op) {
  const int64_t N = op.dw.dim(0), K = op.dw.dim(1);
  const int64_t rows = op.squares.dim(0), columns = op.squares.dim(1);
  visit_bits(op.dw.dtype, [&]<typename T>() {
    const auto& squares_of = reduce_kernels<T>().squares;
    parallel_blocks(rows, [&](int64_t block) {
      const int64_t first = block * kSquareRows, end = std::min(N, first + kSquareRows);
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t column = j * kSquareColumns;
        const int64_t width = std::min<int64_t>(kSquareColumns, K - column);
        double sum = 0;
        for (int64_t i = first; i < end; ++i)
          sum += squares_of(op.dw.data<T>() + i * K + column, width);
        op.squares.data<float>()[block * columns + j] = static_cast<float>(sum);
      }
    });
  });
}

}  // namespace

void linear_forward(const LinearForward& op, Stream&) {
  gemm(forward_product(op));
}

void linear_backward(const LinearBackward& op, Stream&) {
  if (op.db || op.dgate || (changes_gradient(op) && (op.dx || op.dw)))
    visit_bits(op.x.dtype, [&]<typename T>() { backward_rows<T>(op); });
  if (op.dx) gemm(input_gradient_product(op));
  if (op.dw) gemm(weight_gradient_product(op));
  if (op.squares) block_squares(op);
}

void linear_pair_forward(const LinearPairForward& op, Stream& stream) {
  cpu::linear_forward(op.first, stream);
  cpu::linear_forward(op.second, stream);
}

void linear_pair_backward(const LinearPairBackward& op, Stream& stream) {
  cpu::linear_backward(op.first, stream);
  cpu::linear_backward(op.second, stream);
}

}  // namespace srpo::cpu
