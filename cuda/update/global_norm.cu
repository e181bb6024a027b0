// norm = sqrt(sum of grad^2), in double over fixed parts, so that no square of a float overflows: one
// reading of the gradient, or, where the squares of most of it are known from the products that made it, of
// the rest. What it is for, clipping and skipping, reads it on the device and passes over nothing again.

#include "cpp/ops/update/global_norm.h"

#include <algorithm>

#include "cuda/common/total.cuh"
#include "cuda/update/numbers.cuh"

namespace srpo::cuda {
namespace {

SRPO_DEVICE bool can_be_trusted(double squares) {
  return squares > kLeastTrusted && squares < kMostTrusted;  // nor is it NaN
}

/// Unless `squares` is given, and can be trusted.
template <typename T>
__global__ void global_norm_parts_kernel(double* parts, const T* grad, int64_t n, bool packed,
                                         const double* squares) {
  wait_for_earlier_kernel();
  if (squares != nullptr && can_be_trusted(*squares)) return;
  sum_part<kPack<T>>(parts, n, packed, [=]<int N>(int64_t i) {
    float g[N];
    load_pack(g, grad + i);
    double sum = 0;
    for (const float value : g) sum += double{value} * double{value};
    return sum;
  });
}

__global__ void known_squares_parts_kernel(double* parts, const float* squares, int64_t n,
                                           bool packed) {
  wait_for_earlier_kernel();
  sum_part<kPack<float>>(parts, n, packed, [=]<int N>(int64_t i) {
    float s[N];
    load_pack(s, squares + i);
    double sum = 0;
    for (const float value : s) sum += value;
    return sum;
  });
}

/// A part of the gradient that is read: elements [begin, begin + count).
struct Piece {
  int64_t begin, count;
};

/// A block a piece.
template <typename T>
__global__ void pieces_parts_kernel(double* parts, const T* grad, const Piece* pieces) {
  wait_for_earlier_kernel();
  const Piece piece = pieces[blockIdx.x];
  constexpr int N = kPack<T>;
  double sum = 0;
  const auto add = [&](const auto& values) {
    for (const float value : values) sum += double{value} * double{value};
  };
  const T* const from = grad + piece.begin;
  const bool packed = reinterpret_cast<uintptr_t>(from) % sizeof(Pack<T, N>) == 0;
  for (int64_t i = int64_t{threadIdx.x} * N; i < piece.count; i += kSumThreads * N)
    if (packed && i + N <= piece.count) {
      float g[N];
      load_pack(g, from + i);
      add(g);
    } else {
      for (int64_t j = i; j < i + N && j < piece.count; ++j) {
        const float g[] = {float(from[j])};
        add(g);
      }
    }
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/// A block a pair of rows, the second not after the first: the product of both rows' products.
template <typename T>
__global__ void factored_norm_parts_kernel(double* parts, const T* dy, const T* x, int64_t N,
                                           int64_t K) {
  wait_for_earlier_kernel();
  const int64_t a = blockIdx.x, b = blockIdx.y;
  if (b > a) {
    if (threadIdx.x == 0) parts[a * gridDim.y + b] = 0;
    return;
  }
  const auto dot = [](const T* u, const T* v, int64_t n) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += kSumThreads)
      sum += double{float(u[i])} * double{float(v[i])};
    return block_sum(sum);
  };
  const double both = dot(dy + a * N, dy + b * N, N) * dot(x + a * K, x + b * K, K);
  if (threadIdx.x == 0) parts[a * gridDim.y + b] = a == b ? both : 2 * both;
}

/// The first of two times with squares that are known: they are left for the second.
__global__ void global_norm_total_kernel(float* norm, const double* parts, int64_t count,
                                         double* squares, bool again) {
  wait_for_earlier_kernel();
  if (again && can_be_trusted(*squares)) return;
  const double total = total_of(parts, count);
  if (threadIdx.x != 0) return;
  *norm = static_cast<float>(sqrt(total < 0 ? 0 : total));
  if (squares != nullptr && !again) *squares = total;
}

__global__ void count_non_finite_kernel(int32_t* counter, const float* norm) {
  wait_for_earlier_kernel();
  if (threadIdx.x == 0 && !is_finite(*norm)) ++*counter;
}

/// The ranges in pieces for one block each: 64 Ki elements, and more where there would be too many.
std::vector<Piece> pieces_of(const std::vector<int64_t>& ranges) {
  constexpr int64_t kElements = 1 << 16, kMost = 4096, kAligned = 64;
  int64_t all = 0;
  for (size_t i = 0; i < ranges.size(); i += 2) all += ranges[i + 1];
  const int64_t even = ceil_div(ceil_div(all, kMost), kAligned) * kAligned;
  const int64_t each = even > kElements ? even : kElements;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < ranges.size(); i += 2)
    for (int64_t at = 0; at < ranges[i + 1]; at += each)
      pieces.push_back({ranges[i] + at, std::min(each, ranges[i + 1] - at)});
  return pieces;
}

/// The norm from what is known and the ranges; their squares, for whether they can be trusted.
double* known_norm(const GlobalNorm& op, Stream& stream) {
  const int64_t known = parts_of(op.squares.numel());
  const std::vector<Piece> pieces = pieces_of(op.ranges);
  const auto count = static_cast<int64_t>(pieces.size());
  auto* const parts = scratch<double>(stream, known + count + 1);
  double* const squares = parts + known + count;
  launch(known_squares_parts_kernel, sum_config(known, stream), parts, op.squares.data<float>(),
         op.squares.numel(), packs<float>(op.squares.pointer));
  if (count > 0)
    visit_float(op.grad.dtype, [&]<typename T>() {
      launch(pieces_parts_kernel<T>, sum_config(count, stream), parts + known, op.grad.data<T>(),
             upload(stream, pieces));
    });
  launch(global_norm_total_kernel, sum_config(1, stream), op.norm.data<float>(), parts,
         known + count, squares, false);
  return squares;
}

}  // namespace

void global_norm(const GlobalNorm& op, Stream& stream) {
  double* const known = op.squares ? known_norm(op, stream) : nullptr;
  const int64_t n = op.grad.numel(), count = parts_of(n);
  auto* parts = scratch<double>(stream, count);
  visit_float(op.grad.dtype, [&]<typename T>() {
    launch(global_norm_parts_kernel<T>, sum_config(count, stream), parts, op.grad.data<T>(), n,
           packs<T>(op.grad.pointer), static_cast<const double*>(known));
  });
  launch(global_norm_total_kernel, sum_config(1, stream), op.norm.data<float>(), parts, count,
         known, known != nullptr);
}

void factored_norm(const FactoredNorm& op, Stream& stream) {
  const int64_t R = op.dy.dim(0);
  auto* parts = scratch<double>(stream, R * R);
  visit_float(op.dy.dtype, [&]<typename T>() {
    launch(factored_norm_parts_kernel<T>, sum_config(R, stream, R), parts, op.dy.data<T>(),
           op.x.data<T>(), op.dy.dim(1), op.x.dim(1));
  });
  launch(global_norm_total_kernel, sum_config(1, stream), op.norm.data<float>(), parts, R * R,
         static_cast<double*>(nullptr), false);
}

void count_non_finite(const CountNonFinite& op, Stream& stream) {
  launch(count_non_finite_kernel, {.grid = 1, .block = kWarp, .stream = stream},
         op.counter.data<int32_t>(), op.norm.data<float>());
}

}  // namespace srpo::cuda
