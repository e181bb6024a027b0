// norm_rows.h, forward. A warp a row, the row in its registers: read once, the sums by shuffles alone, so
// that no warp waits for another. 12 packs of 8 bfloat16 a lane at D = 3072. Mean and deviation are two
// sums over what is held: E[x^2] - mean^2 would cancel where |mean| is far above the deviation.

#include "cuda/norm/row.cuh"

namespace srpo::cuda {
namespace {

constexpr int kRows = 4;  // of a block

template <bool kCentred, int kHeld, int N, typename T>
__global__ void __launch_bounds__(kRows* kWarp)
    norm_rows_forward_kernel(T* y, float* mean, float* rstd, const T* x, const NormScale<T> of,
                             int64_t rows, int64_t D, float eps) {
  wait_for_earlier_kernel();
  const int64_t row = int64_t{blockIdx.x} * kRows + warp();
  if (row >= rows) return;
  x += row * D;
  y += row * D;
  // f(d, pack) for this lane's packs.
  Pack<T, N> held[kHeld];
  const auto for_each_held = [&](const auto& f) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int64_t d = (int64_t{i} * kWarp + lane()) * N;
      if (d < D) f(d, held[i]);
    }
  };
  for_each_held([&](int64_t d, Pack<T, N>& pack) { load_pack(pack, x + d); });

  float mu = 0.f;
  if constexpr (kCentred) {
    float sum = 0.f;
    for_each_held([&](int64_t, const Pack<T, N>& pack) {
      for (const T& value : pack.value) sum += float(value);
    });
    mu = warp_sum(sum) / D;
  }
  float squares = 0.f;
  for_each_held([&](int64_t, const Pack<T, N>& pack) {
    for (const T& value : pack.value) squares += (float(value) - mu) * (float(value) - mu);
  });
  const float r = rsqrtf(warp_sum(squares) / D + eps);

  const int64_t sample = row / of.rows;
  for_each_held([&](int64_t d, const Pack<T, N>& pack) {
    float v[N], scale[N], shift[N];
    of.load_scale(scale, sample, D, d);
    of.load_shift(shift, sample, D, d);
    for (int j = 0; j < N; ++j) v[j] = (float(pack.value[j]) - mu) * r * scale[j] + shift[j];
    store_pack(y + d, v);
  });
  if (lane() != 0) return;
  if constexpr (kCentred) mean[row] = mu;
  rstd[row] = r;
}

/// A block a row of any length.
template <bool kCentred, int N, typename T>
__global__ void norm_rows_forward_wide_kernel(T* y, float* mean, float* rstd, const T* x,
                                              const NormScale<T> of, int64_t D, float eps) {
  wait_for_earlier_kernel();
  const int64_t row = blockIdx.x, sample = row / of.rows;
  x += row * D;
  y += row * D;
  float mu = 0.f;
  if constexpr (kCentred) {
    float sum = 0.f;
    for_each_pack<N>(D, [&](int64_t d) {
      float v[N];
      load_pack(v, x + d);
      for (float value : v) sum += value;
    });
    mu = block_sum(sum) / D;
  }
  float squares = 0.f;
  for_each_pack<N>(D, [&](int64_t d) {
    float v[N];
    load_pack(v, x + d);
    for (float value : v) squares += (value - mu) * (value - mu);
  });
  const float r = rsqrtf(block_sum(squares) / D + eps);
  for_each_pack<N>(D, [&](int64_t d) {
    float v[N], scale[N], shift[N];
    load_pack(v, x + d);
    of.load_scale(scale, sample, D, d);
    of.load_shift(shift, sample, D, d);
    for (int j = 0; j < N; ++j) v[j] = (v[j] - mu) * r * scale[j] + shift[j];
    store_pack(y + d, v);
  });
  if (threadIdx.x != 0) return;
  if constexpr (kCentred) mean[row] = mu;
  rstd[row] = r;
}

template <bool kCentred, int N, typename T>
void forward(const NormRows& n, const TensorView& y, float* mean, float* rstd, float eps,
             Stream& stream) {
  const int64_t rows = n.samples * n.rows;
  const NormScale<T> of(n);
  const auto held = [&]<int kHeld>() {
    launch(norm_rows_forward_kernel<kCentred, kHeld, N, T>,
           {.grid = ceil_div(rows, kRows), .block = kRows * kWarp, .stream = stream}, y.data<T>(),
           mean, rstd, n.x.data<T>(), of, rows, n.D, eps);
  };
  const int64_t packs = ceil_div(n.D, N * kWarp);  // of a lane
  if (packs <= 4) return held.template operator()<4>();
  if constexpr (N > 1) {
    if (packs <= 8) return held.template operator()<8>();
    if (packs <= 12) return held.template operator()<12>();
    if (packs <= 16) return held.template operator()<16>();
  }
  launch(norm_rows_forward_wide_kernel<kCentred, N, T>, row_config<N>(rows, n.D, stream),
         y.data<T>(), mean, rstd, n.x.data<T>(), of, n.D, eps);
}

}  // namespace

void norm_rows_forward(const NormRows& n, const TensorView& y, float* mean, float* rstd, float eps,
                       Stream& stream) {
  visit_float(n.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(n.x.pointer, n.D) && packs<T>(y.pointer) &&
                        packs<T>(n.scale.pointer) && packs<T>(n.shift.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      n.centred ? forward<true, N, T>(n, y, mean, rstd, eps, stream)
                : forward<false, N, T>(n, y, mean, rstd, eps, stream);
    });
  });
}

}  // namespace srpo::cuda
