// norm_rows.h, backward: dx and the sums over rows at one pass. A block has some rows of a sample and all
// columns, a thread one pack of them: kRows rows at a time are in its registers while their two sums go
// through shared memory, in two places in turn, so that one barrier is enough. What a thread has summed of
// its columns goes to the block's part; parts are added up in a fixed order.

#include "cuda/common/column_sums.cuh"
#include "cuda/norm/row.cuh"

namespace srpo::cuda {
namespace {

constexpr int kMostThreads = 512;
constexpr int kRows = 2;  // at a time: two blocks fit a multiprocessor

/// Of the rows at hand, a warp's sums of g dy and of g dy * xhat.
struct RowSums {
  alignas(16) float sum[2][kMostThreads / kWarp][2 * kRows];
};

template <bool kCentred, int N, typename T>
__global__ void __launch_bounds__(kMostThreads)
    norm_rows_backward_kernel(T* dx, float* parts, const T* dy, const T* x, const float* mean,
                              const float* rstd, const NormScale<T> of, int64_t D,
                              int64_t rows_of_part) {
  wait_for_earlier_kernel();
  auto& shared = shared_memory<RowSums>();
  const int64_t sample = blockIdx.y, d = int64_t{threadIdx.x} * N;
  const int64_t begin = sample * of.rows + blockIdx.x * rows_of_part;
  const int64_t last = (sample + 1) * of.rows;
  const int64_t end = begin + rows_of_part < last ? begin + rows_of_part : last;
  const bool inside = d < D;
  float scale[N] = {}, dscale[N] = {}, dshift[N] = {};
  if (inside) of.load_scale(scale, sample, D, d);

  int place = 0;
  for (int64_t first = begin; first < end; first += kRows, place ^= 1) {
    Pack<T, N> of_dy[kRows], of_x[kRows];
    float mu[kRows], r[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int64_t row = first + i < end ? first + i : end - 1;  // the last again: not counted
      if (inside) {
        load_pack(of_dy[i], dy + row * D + d);
        load_pack(of_x[i], x + row * D + d);
      }
      mu[i] = kCentred ? mean[row] : 0.f;
      r[i] = rstd[row];
    }
    float sums[2 * kRows] = {};
    if (inside) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const float counted = first + i < end ? 1.f : 0.f;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const float g = float(of_dy[i].value[j]);
          const float xhat = (float(of_x[i].value[j]) - mu[i]) * r[i];
          dscale[j] += counted * g * xhat;
          dshift[j] += counted * g;
          sums[2 * i] += scale[j] * g;
          sums[2 * i + 1] += scale[j] * g * xhat;
        }
      }
    }
    if (dx == nullptr) continue;
#pragma unroll
    for (int k = kCentred ? 0 : 1; k < 2 * kRows; k += kCentred ? 1 : 2) {
      const float sum = warp_sum(sums[k]);
      if (lane() == 0) shared.sum[place][warp()][k] = sum;
      sums[k] = 0.f;
    }
    block_barrier();
    for (int w = 0; w < block_threads() / kWarp; ++w)
#pragma unroll
      for (int k = kCentred ? 0 : 1; k < 2 * kRows; k += kCentred ? 1 : 2)
        sums[k] += shared.sum[place][w][k];
    if (!inside) continue;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (first + i >= end) break;
      const float g_mean = kCentred ? sums[2 * i] / D : 0.f, g_xhat_mean = sums[2 * i + 1] / D;
      float v[N];
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float xhat = (float(of_x[i].value[j]) - mu[i]) * r[i];
        v[j] = r[i] * (scale[j] * float(of_dy[i].value[j]) - g_mean - xhat * g_xhat_mean);
      }
      store_pack(dx + (first + i) * D + d, v);
    }
  }
  if (parts == nullptr || !inside) return;
  float* const to = parts + (sample * gridDim.x + blockIdx.x) * 2 * D + d;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    to[j] = dscale[j];
    to[D + j] = dshift[j];
  }
}

/// A block a row of any length, without the sums over rows.
template <bool kCentred, int N, typename T>
__global__ void norm_rows_backward_wide_kernel(T* dx, const T* dy, const T* x, const float* mean,
                                               const float* rstd, const NormScale<T> of,
                                               int64_t D) {
  wait_for_earlier_kernel();
  const int64_t row = blockIdx.x, sample = row / of.rows;
  dx += row * D;
  dy += row * D;
  x += row * D;
  const float mu = kCentred ? mean[row] : 0.f, r = rstd[row];
  const auto load = [=](float (&g)[N], float (&xhat)[N], int64_t d) {
    float scale[N];
    load_pack(g, dy + d);
    load_pack(xhat, x + d);
    of.load_scale(scale, sample, D, d);
    for (int j = 0; j < N; ++j) {
      g[j] *= scale[j];
      xhat[j] = (xhat[j] - mu) * r;
    }
  };
  Pair sums = {0.f, 0.f};
  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) {
      sums.first += g[j];
      sums.second += g[j] * xhat[j];
    }
  });
  sums = block_sum(sums);
  const float g_mean = kCentred ? sums.first / D : 0.f, g_xhat_mean = sums.second / D;
  for_each_pack<N>(D, [&](int64_t d) {
    float g[N], xhat[N];
    load(g, xhat, d);
    for (int j = 0; j < N; ++j) g[j] = r * (g[j] - g_mean - xhat[j] * g_xhat_mean);
    store_pack(dx + d, g);
  });
}

/// The sums over the rows of each part, for such rows.
template <bool kCentred, int N, typename T>
__global__ void norm_rows_parts_kernel(float* parts, const T* dy, const T* x, const float* mean,
                                       const float* rstd, const ColumnWalk walk) {
  wait_for_earlier_kernel();
  float sums[2][N] = {};
  const int64_t column = walk.column<N>();
  Pack<T, N> of_dy[1], of_x[1];
  walk.for_each_row<N, 1>(
      [&](int, int64_t row) {
        load_pack(of_dy[0], dy + row * walk.C + column);
        load_pack(of_x[0], x + row * walk.C + column);
      },
      [&](int, int64_t row) {
        const float mu = kCentred ? mean[row] : 0.f;
        for (int j = 0; j < N; ++j) {
          const float g = float(of_dy[0].value[j]);
          sums[0][j] += g * (float(of_x[0].value[j]) - mu) * rstd[row];
          sums[1][j] += g;
        }
      });
  store_parts(parts, sums, walk);
}

__global__ void norm_rows_add_kernel(float* dscale, float* dshift, const float* parts,
                                     int64_t count, int64_t D) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, 2 * D,
      [=](float (&sums)[1], int64_t part, int64_t d) { sums[0] += parts[part * 2 * D + d]; },
      [=](const float (&sums)[1], int64_t, int64_t d) {
        float* const to = d < D ? dscale : dshift;
        if (to != nullptr) to[d % D] += sums[0];
      });
}

template <typename T>
__global__ void norm_rows_store_kernel(T* dscale, T* dshift, const float* parts, int64_t count,
                                       int64_t D) {
  wait_for_earlier_kernel();
  column_sums<1>(
      count, 2 * D,
      [=](float (&sums)[1], int64_t part, int64_t d) { sums[0] += parts[part * 2 * D + d]; },
      [=](const float (&sums)[1], int64_t sample, int64_t d) {
        (d < D ? dscale : dshift)[sample * D + d % D] = T(sums[0]);
      });
}

template <bool kCentred, int N, typename T>
NormParts backward(const NormRows& n, const TensorView& dx, const TensorView& dy, const float* mean,
                   const float* rstd, bool wants_parts, Stream& stream) {
  constexpr int64_t kBlocks = 264;  // two for each multiprocessor
  const NormScale<T> of(n);
  if (ceil_div(n.D, N) <= kMostThreads) {
    const int64_t fair = ceil_div(n.samples * n.rows, kBlocks);
    const int64_t rows_of_part = ceil_div(fair, kRows) * kRows;
    const int64_t count = ceil_div(n.rows, rows_of_part);
    float* const parts =
        wants_parts ? scratch<float>(stream, n.samples * count * 2 * n.D) : nullptr;
    launch(norm_rows_backward_kernel<kCentred, N, T>,
           {.grid = {count, n.samples},
            .block = ceil_div(n.D, N * kWarp) * kWarp,
            .shared = sizeof(RowSums),
            .stream = stream},
           dx.data<T>(), parts, dy.data<T>(), n.x.data<T>(), mean, rstd, of, n.D, rows_of_part);
    return {parts, count};
  }
  if (dx)
    launch(norm_rows_backward_wide_kernel<kCentred, N, T>,
           row_config<N>(n.samples * n.rows, n.D, stream), dx.data<T>(), dy.data<T>(),
           n.x.data<T>(), mean, rstd, of, n.D);
  if (!wants_parts) return {};
  const ColumnWalk walk = column_walk<N>(n.samples, n.rows, n.D);
  float* const parts = scratch<float>(stream, n.samples * walk.parts * 2 * n.D);
  launch(norm_rows_parts_kernel<kCentred, N, T>, walk_config<N, 2>(walk, stream), parts,
         dy.data<T>(), n.x.data<T>(), mean, rstd, walk);
  return {parts, walk.parts};
}

}  // namespace

NormParts norm_rows_backward(const NormRows& n, const TensorView& dx, const TensorView& dy,
                             const float* mean, const float* rstd, bool wants_parts,
                             Stream& stream) {
  NormParts parts;
  visit_float(n.x.dtype, [&]<typename T>() {
    const bool packed = packs<T>(n.x.pointer, n.D) && packs<T>(dy.pointer) &&
                        packs<T>(dx.pointer) && packs<T>(n.scale.pointer);
    visit_pack<T>(packed, [&]<int N>() {
      parts = n.centred ? backward<true, N, T>(n, dx, dy, mean, rstd, wants_parts, stream)
                        : backward<false, N, T>(n, dx, dy, mean, rstd, wants_parts, stream);
    });
  });
  return parts;
}

void add_norm_parts(float* dscale, float* dshift, const NormParts& parts, const NormRows& n,
                    Stream& stream) {
  launch(norm_rows_add_kernel, column_config<1>(1, 2 * n.D, stream), dscale, dshift, parts.parts,
         n.samples * parts.count, n.D);
}

void store_norm_parts(const TensorView& dscale, const TensorView& dshift, const NormParts& parts,
                      const NormRows& n, Stream& stream) {
  visit_float(dscale.dtype, [&]<typename T>() {
    launch(norm_rows_store_kernel<T>, column_config<1>(n.samples, 2 * n.D, stream),
           dscale.data<T>(), dshift.data<T>(), parts.parts, parts.count, n.D);
  });
}

}  // namespace srpo::cuda
