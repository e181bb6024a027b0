// Convolution over [B, H, W, C]: the products of conv2d_product.h.
//
//   y[p, n]     = bias[n] + residual[p, n] + sum over taps t, c of w[n, t, c] * x[p at t, c]
//   dx[q, c]    = sum over taps t, n of w[n, t, c] * dy[q back t, n]       the same product, other taps
//   dw[n, t, c] += sum over pixels p of dy[p, n] * x[p at t, c]    float
//   dbias[n]    += sum over pixels p of dy[p, n]                   float
//
// An upsampled picture is never stored: where places of the kernel meet the same small pixel their
// weights are summed once, in float, and rounded to T.

#include "cpp/ops/conv/conv2d.h"

#include "cpp/ops/conv/conv2d_plan.h"
#include "cuda/common/column_sums.cuh"
#include "cuda/common/column_walk.cuh"
#include "cuda/conv/conv2d_product.h"
#include "cuda/norm/group_norm_statistics.h"

namespace srpo::cuda {
namespace {

constexpr int kMostPlaces = 4;  // of a tap: two each way on a doubled picture
constexpr int kSquare = 32;     // of weights, transposed at once
constexpr int kSquareRows = 8;

/// [N, kh * kw, C] told by its strides, in the direction of the product.
struct Weights {
  const void* data;
  int64_t N, C;
  int64_t of_n, of_place, of_c;
};

/// packed [N, taps, C] = the sum over the tap's places [taps, kMostPlaces], which end where one is -1.
template <typename T>
__global__ void conv2d_pack_kernel(T* packed, const Weights w, const int64_t* places,
                                   int64_t taps) {
  struct Square {
    float at[kSquare][kSquare + 1];  // n, c
  };
  auto& square = shared_memory<Square>();
  const int64_t tap = blockIdx.z;
  const int64_t first_c = int64_t{blockIdx.x} * kSquare, first_n = int64_t{blockIdx.y} * kSquare;
  const int fast = static_cast<int>(threadIdx.x), slow = static_cast<int>(threadIdx.y);
  const T* const from = static_cast<const T*>(w.data);
  for (int i = slow; i < kSquare; i += kSquareRows) {  // neighbours read along what is dense
    const int to_n = w.of_c == 1 ? i : fast, to_c = w.of_c == 1 ? fast : i;
    const int64_t n = first_n + to_n, c = first_c + to_c;
    if (n >= w.N || c >= w.C) continue;
    float sum = 0.f;
    for (int k = 0; k < kMostPlaces && places[tap * kMostPlaces + k] >= 0; ++k)
      sum += float(from[n * w.of_n + places[tap * kMostPlaces + k] * w.of_place + c * w.of_c]);
    square.at[to_n][to_c] = sum;
  }
  block_barrier();
  for (int i = slow; i < kSquare; i += kSquareRows) {
    const int64_t n = first_n + i, c = first_c + fast;
    if (n < w.N && c < w.C) packed[(n * taps + tap) * w.C + c] = T(square.at[i][fast]);
  }
}

template <typename T>
T* pack(const Weights& w, const std::vector<int64_t>& places, Stream& stream) {
  const int64_t taps = static_cast<int64_t>(places.size()) / kMostPlaces;
  T* const packed = scratch<T>(stream, w.N * taps * w.C);
  launch(conv2d_pack_kernel<T>,
         {.grid = {ceil_div(w.C, kSquare), ceil_div(w.N, kSquare), taps},
          .block = {kSquare, kSquareRows},
          .shared = sizeof(float) * kSquare * (kSquare + 1),
          .stream = stream},
         packed, w, upload(stream, places), taps);
  return packed;
}

/// All phases of one direction; of `whole` the plan gives the taps, the steps and the weights.
template <typename T>
std::vector<ConvPhase> phases_of(const ConvPhase& whole, const ConvAxis& down,
                                 const ConvAxis& across, const Weights& w, int64_t kw,
                                 Stream& stream) {
  std::vector<ConvPhase> phases;
  const auto count = static_cast<int64_t>(down.phases.size());
  for (int64_t a = 0; a < count; ++a)
    for (int64_t b = 0; b < count; ++b) {
      const ConvAxis::Phase &rows = down.phases[a], &columns = across.phases[b];
      if (rows.count == 0 || columns.count == 0) continue;
      std::vector<int64_t> tap_y, tap_x, places;
      bool as_they_lie = w.of_c == 1 && w.of_place == w.C;
      for (const ConvAxis::Tap& r : rows.taps)
        for (const ConvAxis::Tap& s : columns.taps) {
          tap_y.push_back(r.offset);
          tap_x.push_back(s.offset);
          for (const int64_t row : r.places)
            for (const int64_t column : s.places) places.push_back(row * kw + column);
          as_they_lie = as_they_lie && r.places.size() * s.places.size() == 1;
          places.resize(tap_y.size() * kMostPlaces, -1);
        }
      ConvPhase phase = whole;
      phase.taps = static_cast<int64_t>(tap_y.size());
      phase.rows = rows.count;
      phase.columns = columns.count;
      phase.in_step = down.in_step;
      phase.out_step = count;
      phase.out_y = a;
      phase.out_x = b;
      if (phase.taps > 0) {
        phase.tap_y = upload(stream, tap_y);
        phase.tap_x = upload(stream, tap_x);
        phase.w = as_they_lie ? w.data : pack<T>(w, places, stream);
      }
      phases.push_back(phase);
    }
  return phases;
}

/// The phases, and the statistics of y: from the tiles, where every phase can take them, or from y.
void forward_with_statistics(std::vector<ConvPhase>& phases, const Conv2dForward& op,
                             Stream& stream) {
  const int64_t groups = op.statistics.dim(1), N = op.y.dim(3), width = N / groups;
  const int64_t B = op.y.dim(0), size = op.y.dim(1) * op.y.dim(2);
  ConvStatistics of{.run = width % 8 == 0 ? 8 : 4};
  bool from_tiles = width % of.run == 0;
  for (ConvPhase& phase : phases) {
    phase.statistics.first_part = of.parts_of_picture;
    const int64_t parts = conv2d_parts(phase, op.x.dtype, stream);
    from_tiles = from_tiles && parts > 0;
    of.parts_of_picture += parts;
  }
  if (from_tiles) {
    of.parts = scratch<float>(stream, B * of.parts_of_picture * (N / of.run) * 2);
    of.pixels = scratch<float>(stream, B * of.parts_of_picture);
  }
  for (ConvPhase& phase : phases) {
    of.first_part = phase.statistics.first_part;
    if (from_tiles) phase.statistics = of;
    conv2d_product(phase, op.x.dtype, stream);
  }
  float* const to = op.statistics.data<float>();
  if (from_tiles)
    join_statistics(to, {of.parts, of.pixels, of.parts_of_picture, of.run}, B, size, N, groups,
                    stream);
  else
    group_norm_statistics(to, op.y, groups, stream);
}

template <int N, typename T>
__global__ void conv2d_bias_parts_kernel(float* parts, const T* dy, const ColumnWalk walk) {
  float sums[1][N] = {};
  constexpr int kRows = 8;
  Pack<T, N> g[kRows];
  walk.for_each_row<N, kRows>(
      [&](int k, int64_t row) { load_pack(g[k], dy + row * walk.C + walk.column<N>()); },
      [&](int k, int64_t) {
        for (int j = 0; j < N; ++j) sums[0][j] += float(g[k].value[j]);
      });
  store_parts(parts, sums, walk);
}

__global__ void conv2d_bias_add_kernel(float* dbias, const float* parts, int64_t count, int64_t N) {
  column_sums<1>(
      count, N, [=](float (&sums)[1], int64_t part, int64_t n) { sums[0] += parts[part * N + n]; },
      [=](const float (&sums)[1], int64_t, int64_t n) { dbias[n] += sums[0]; });
}

template <typename T>
void bias_gradient(const Conv2dBackward& op, Stream& stream) {
  const int64_t rows = op.dy.rows(), channels = op.dy.dim(3);
  visit_pack<T>(packs<T>(op.dy.pointer, channels), [&]<int N>() {
    const ColumnWalk walk = column_walk<N>(1, rows, channels);
    float* const parts = scratch<float>(stream, walk.parts * channels);
    launch(conv2d_bias_parts_kernel<N, T>, walk_config<N, 1>(walk, stream), parts, op.dy.data<T>(),
           walk);
    launch(conv2d_bias_add_kernel, column_config<1>(1, channels, stream), op.dbias.data<float>(),
           parts, walk.parts, channels);
  });
}

}  // namespace

void conv2d_forward(const Conv2dForward& op, Stream& stream) {
  const auto [Cout, kh, kw, Cin] = op.w.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  const ConvPhase whole{.y = op.y.pointer,
                        .x = op.x.pointer,
                        .bias = op.bias.pointer,
                        .residual = op.residual.pointer,
                        .B = op.x.dim(0),
                        .H = op.x.dim(1),
                        .W = op.x.dim(2),
                        .C = Cin,
                        .Ho = op.y.dim(1),
                        .Wo = op.y.dim(2),
                        .N = Cout};
  const ConvAxis down = forward_axis(whole.Ho, kh, g.stride, g.top, g.upsample);
  const ConvAxis across = forward_axis(whole.Wo, kw, g.stride, g.left, g.upsample);
  const Weights w{op.w.pointer, Cout, Cin, kh * kw * Cin, Cin, 1};
  visit_float(op.x.dtype, [&, kw = kw]<typename T>() {
    std::vector<ConvPhase> phases = phases_of<T>(whole, down, across, w, kw, stream);
    if (op.statistics) return forward_with_statistics(phases, op, stream);
    for (const ConvPhase& phase : phases) conv2d_product(phase, op.x.dtype, stream);
  });
}

void conv2d_backward(const Conv2dBackward& op, Stream& stream) {
  const auto [Cout, kh, kw, Cin] = op.w.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  if (op.dx) {
    const ConvPhase whole{.y = op.dx.pointer,
                          .x = op.dy.pointer,
                          .B = op.x.dim(0),
                          .H = op.dy.dim(1),
                          .W = op.dy.dim(2),
                          .C = Cout,
                          .Ho = op.x.dim(1),
                          .Wo = op.x.dim(2),
                          .N = Cin};
    const ConvAxis down = gradient_axis(whole.Ho, kh, g.stride, g.top, g.upsample);
    const ConvAxis across = gradient_axis(whole.Wo, kw, g.stride, g.left, g.upsample);
    const Weights w{op.w.pointer, Cin, Cout, 1, Cin, kh * kw * Cin};
    visit_float(op.x.dtype, [&, kw = kw]<typename T>() {
      for (const ConvPhase& phase : phases_of<T>(whole, down, across, w, kw, stream))
        conv2d_product(phase, op.x.dtype, stream);
    });
  }
  if (op.dw) conv2d_weight_gradient(op, stream);
  if (op.dbias) visit_float(op.x.dtype, [&]<typename T>() { bias_gradient<T>(op, stream); });
}

}  // namespace srpo::cuda
