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
#include "cuda/conv/conv2d_pack.h"
#include "cuda/conv/conv2d_product.h"
#include "cuda/norm/group_norm_statistics.h"

namespace srpo::cuda {
namespace {

/// Of phase `a`, with what the plan's offsets mean for the kernel's places: forward, place r meets
/// a * stride + r - before, doubled or not; back, what x says of dy's o is copies * a + e + before - r =
/// stride * o.
ConvTaps taps_of(const ConvAxis::Phase& phase, int64_t slope, int64_t start, int64_t copies,
                 int64_t kernel) {
  ConvTaps taps{.slope = slope, .start = start, .copies = copies, .kernel = kernel};
  taps.count = static_cast<int64_t>(phase.taps.size());  // neighbours all, in some order
  for (const ConvAxis::Tap& tap : phase.taps)
    if (&tap == &phase.taps[0] || tap.offset < taps.first) taps.first = tap.offset;
  return taps;
}
ConvTaps forward_taps(const ConvAxis& axis, int64_t a, int64_t kernel, int64_t stride,
                      int64_t before, bool upsample) {
  const int64_t zoom = upsample ? 2 : 1;
  return taps_of(axis.phases[a], zoom, before - a * stride, zoom, kernel);
}
ConvTaps gradient_taps(const ConvAxis& axis, int64_t a, int64_t kernel, int64_t stride,
                       int64_t before, bool upsample) {
  const int64_t copies = upsample ? 2 : 1;
  return taps_of(axis.phases[a], -stride, copies * a + before, copies, kernel);
}

/// Whether the weights of these taps are the kernel's places in their order.
bool in_order(const ConvTaps& taps) {
  return taps.copies == 1 && (taps.slope == 1 || taps.kernel == 1) && taps.count == taps.kernel;
}

/// All phases of one direction; of `whole` the plan gives the taps, the steps and the weights. Channels of
/// bfloat16 that are no whole packs are filled up with zeros: the copy engine asks for them.
std::vector<ConvPhase> phases_of(ConvPhase whole, const ConvAxis& down, const ConvAxis& across,
                                 decltype(forward_taps)* taps, const ConvWeights& w, int64_t kh,
                                 int64_t kw, const Conv2dGeometry& g, DType dtype, Stream& stream) {
  bool dense = w.of_c == 1 && w.of_place == w.C;  // as the product reads it
  if (dtype == DType::kBFloat16) {
    whole.x = pack_pixels(whole.x, whole.B * whole.H * whole.W, whole.C, stream);
    whole.C = packed_channels(whole.C);
    dense = dense && packs<bfloat16>(w.data, w.C);
  }
  std::vector<ConvPhase> phases;
  const auto count = static_cast<int64_t>(down.phases.size());
  for (int64_t a = 0; a < count; ++a)
    for (int64_t b = 0; b < count; ++b) {
      ConvPhase phase = whole;
      phase.rows = down.phases[a].count;
      phase.columns = across.phases[b].count;
      if (phase.rows == 0 || phase.columns == 0) continue;
      phase.down = taps(down, a, kh, g.stride, g.top, g.upsample);
      phase.across = taps(across, b, kw, g.stride, g.left, g.upsample);
      phase.in_step = down.in_step;
      phase.out_step = count;
      phase.out_y = a;
      phase.out_x = b;
      if (dense && in_order(phase.down) && in_order(phase.across))
        phase.w = w.data;
      else if (phase.taps() > 0)
        phase.w = pack_weights(w, phase.down, phase.across, whole.C, dtype, stream);
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
  wait_for_earlier_kernel();
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
  wait_for_earlier_kernel();
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
  const ConvWeights w{op.w.pointer, Cout, Cin, kh * kw * Cin, Cin, 1};
  std::vector<ConvPhase> phases =
      phases_of(whole, down, across, forward_taps, w, kh, kw, g, op.x.dtype, stream);
  if (op.statistics) return forward_with_statistics(phases, op, stream);
  for (const ConvPhase& phase : phases) conv2d_product(phase, op.x.dtype, stream);
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
    const ConvWeights w{op.w.pointer, Cin, Cout, 1, Cin, kh * kw * Cin};
    for (const ConvPhase& phase :
         phases_of(whole, down, across, gradient_taps, w, kh, kw, g, op.x.dtype, stream))
      conv2d_product(phase, op.x.dtype, stream);
  }
  if (op.dw) conv2d_weight_gradient(op, stream);
  if (op.dbias) visit_float(op.x.dtype, [&]<typename T>() { bias_gradient<T>(op, stream); });
}

}  // namespace srpo::cuda
