// Convolution over [B, H, W, C] as an implicit matrix product: pixels by output channels, summed over
// taps and input channels.
//
//   y[p, n]     = bias[n] + residual[p, n] + sum over taps t, c of w[n, t, c] * x[p at t, c]
//   dx[q, c]    = sum over taps t, n of w[n, t, c] * dy[q back t, n]         the same tiles, other taps
//   dw[n, t, c] = sum over pixels p of dy[p, n] * x[p at t, c]
//   dbias[n]    = sum over pixels p of dy[p, n]
//
// Nothing is gathered: a tile reads rows of C channels where they lie (conv2d_tile.h). Weights are
// packed for each call, summed where upsampling makes kernel places meet (conv2d_plan.h).
// Forward, a 1 x 1 kernel is a plain product of [pixels, C] with the weights; backward, with few channels
// these tiles are the faster. Sums are float; bfloat16 pairs are multiplied exactly.

#include "cpp/ops/conv/conv2d.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cpp/cpu/conv/conv2d_kernels.h"
#include "cpp/cpu/gemm/gemm.h"
#include "cpp/cpu/isa.h"
#include "cpp/cpu/norm/group_norm_statistics.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"
#include "cpp/ops/conv/conv2d_plan.h"

namespace srpo::cpu {
namespace {

const ConvTables& tables() {
  static const auto& best = best_of(conv2d_generic, conv2d_avx2, conv2d_avx512);
  return best;
}

// Where the cores have tile units the dot products of pairs run at half of float's rate.
bool has_pairs() {
  return isa().avx512_bf16 && !isa().amx_bf16;
}

float to_float(float value) {
  return value;
}
float to_float(uint16_t bits) {
  bfloat16 value;
  value.bits = bits;
  return float(value);
}
struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// Memory as it comes, on a cache line's border.
template <typename T>
std::unique_ptr<T[], Free> scratch(int64_t size) {
  void* memory = std::aligned_alloc(64, (static_cast<size_t>(size) * sizeof(T) + 64) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  return std::unique_ptr<T[], Free>(static_cast<T*>(memory));
}

/// A weight tensor [N, kh, kw, C] told by its strides, in the direction of this product.
template <typename T>
struct Weights {
  const T* data;
  int64_t N, C;
  int64_t of_n, of_row, of_column, of_c;
};

/// Where the weights lie that a tap sums: one place, or one or two a direction on a doubled picture.
struct Tap {
  static constexpr int64_t kMost = 4;
  int64_t count = 0;
  int64_t offsets[kMost];  // in elements
};

void sum_rows(float* to, const float* const* rows, int64_t count, int64_t n) {
  tables().sum_f32(to, rows, count, n);
}
void sum_rows(uint16_t* to, const uint16_t* const* rows, int64_t count, int64_t n) {
  tables().sum_bf16(to, rows, count, n);
}
/// Rounded to bfloat16 on the way: the weights are the same on every machine.
void sum_rows(float* to, const uint16_t* const* rows, int64_t count, int64_t n) {
  std::vector<uint16_t> sums(n);
  sum_rows(sums.data(), rows, count, n);
  for (int64_t i = 0; i < n; ++i) to[i] = to_float(sums[i]);
}

/// to[i] = from[i], summed over the places of a tap.
template <typename T, typename Packed>
void sum_places(Packed* to, const T* from, int64_t n, const Tap& tap) {
  const T* rows[Tap::kMost];
  for (int64_t k = 0; k < tap.count; ++k) rows[k] = from + tap.offsets[k];
  if (std::is_same_v<T, Packed> && tap.count == 1)
    std::memcpy(to, rows[0], n * sizeof(T));
  else
    sum_rows(to, rows, tap.count, n);
}

/// One block of up to `width` output channels: [taps, C / pair, width, pair] with a pair (of bfloat16)
/// or one float in a word; zeros past the edges. C is w.C, rounded up to pairs.
template <typename T, typename Packed>
void pack_block(Packed* to, const Weights<T>& w, const std::vector<Tap>& taps, int64_t first,
                int64_t channels, int64_t width, int64_t C) {
  constexpr int64_t pair = 4 / sizeof(Packed);
  const auto words = reinterpret_cast<uint32_t*>(to);
  if (channels < width) std::fill(to, to + static_cast<int64_t>(taps.size()) * C * width, Packed{});
  if (w.of_c == 1) {  // a channel's inputs lie together: gather its row, then transpose all
    const auto rows = scratch<Packed>(channels * C);
    for (int64_t t = 0; t < static_cast<int64_t>(taps.size()); ++t) {
      for (int64_t n = 0; n < channels; ++n) {
        sum_places(rows.get() + n * C, w.data + (first + n) * w.of_n, w.C, taps[t]);
        std::fill(rows.get() + n * C + w.C, rows.get() + (n + 1) * C, Packed{});
      }
      tables().transpose(words + t * C / pair * width, width,
                         reinterpret_cast<const uint32_t*>(rows.get()), C / pair, channels,
                         C / pair);
    }
    return;
  }
  std::vector<Packed> row(2 * channels);  // output channels lie together
  for (int64_t t = 0; t < static_cast<int64_t>(taps.size()); ++t)
    for (int64_t c = 0; c < C; c += pair) {
      Packed* at = to + (t * C + c) * width;
      const auto line = [&](int64_t i, Packed* into) {
        if (i < w.C)
          sum_places(into, w.data + first + i * w.of_c, channels, taps[t]);
        else
          std::fill(into, into + channels, Packed{});
      };
      if constexpr (pair == 1) {
        line(c, at);
      } else {
        line(c, row.data());
        line(c + 1, row.data() + channels);
        for (int64_t n = 0; n < channels; ++n) {
          at[2 * n] = row[n];
          at[2 * n + 1] = row[channels + n];
        }
      }
    }
}

template <typename In, typename Out>
using Run = void (*)(const ConvRange<In, Out>&);

/// The product of one direction, for all its phases.
struct Product {
  int64_t B, H, W;  // of the picture that is read
  int64_t Ho, Wo;   // of the one that is written
  ConvAxis rows, columns;
};

// Some 4 million multiplications: large beside a thread's wake-up, small beside a convolution.
int64_t pixels_of_range(int64_t work_of_pixel, int64_t rows) {
  const int64_t pixels =
      std::max<int64_t>(1, (int64_t{1} << 22) / std::max<int64_t>(1, work_of_pixel));
  return (pixels + rows - 1) / rows * rows;
}

/// x is [B, H, W, C] with C as packed: even for pairs of bfloat16.
template <typename In, typename Out, typename T>
void multiply(Run<In, Out> run, int64_t tile_rows, int64_t tile_columns, const Product& p, Out* y,
              const Out* residual, const float* bias, const In* x, int64_t C, const Weights<T>& w) {
  const std::vector<In> zeros(C, In{});
  const int64_t blocks = (w.N + tile_columns - 1) / tile_columns;
  for (int64_t a = 0; a < static_cast<int64_t>(p.rows.phases.size()); ++a)
    for (int64_t b = 0; b < static_cast<int64_t>(p.columns.phases.size()); ++b) {
      const ConvAxis::Phase &down = p.rows.phases[a], &across = p.columns.phases[b];
      const int64_t outputs = p.B * down.count * across.count;
      if (outputs == 0) continue;
      std::vector<Tap> taps;
      std::vector<int32_t> tap_y, tap_x;
      for (const ConvAxis::Tap& r : down.taps)
        for (const ConvAxis::Tap& s : across.taps) {
          Tap& tap = taps.emplace_back();
          for (const int64_t row : r.places)
            for (const int64_t column : s.places)
              tap.offsets[tap.count++] = row * w.of_row + column * w.of_column;
          tap_y.push_back(static_cast<int32_t>(r.offset));
          tap_x.push_back(static_cast<int32_t>(s.offset));
        }
      const int64_t T_ = static_cast<int64_t>(taps.size());
      const auto packed = scratch<In>(std::max<int64_t>(1, blocks * T_ * C * tile_columns));
      const auto width_of = [&](int64_t block) {
        return std::min(tile_columns, (w.N - block * tile_columns + 15) / 16 * 16);
      };
      parallel_blocks(blocks, [&](int64_t block) {
        const int64_t first = block * tile_columns;
        pack_block(packed.get() + first * T_ * C, w, taps, first,
                   std::min(tile_columns, w.N - first), width_of(block), C);
      });

      const int64_t grain = pixels_of_range(T_ * C * std::min(tile_columns, w.N), tile_rows);
      const int64_t ranges = (outputs + grain - 1) / grain;
      // Ranges of one block of channels follow each other: its weights stay in cache.
      parallel_blocks(blocks * ranges, [&](int64_t index) {
        const int64_t first = index / ranges * tile_columns, begin = index % ranges * grain;
        run({
            .y = y,
            .residual = residual,
            .bias = bias + first,
            .x = x,
            .zeros = zeros.data(),
            .weights = packed.get() + first * T_ * C,
            .tap_y = tap_y.data(),
            .tap_x = tap_x.data(),
            .taps = T_,
            .H = p.H,
            .W = p.W,
            .C = C,
            .Ho = p.Ho,
            .Wo = p.Wo,
            .N = w.N,
            .grid_rows = down.count,
            .grid_columns = across.count,
            .in_step_y = p.rows.in_step,
            .in_step_x = p.columns.in_step,
            .out_y = a,
            .out_x = b,
            .out_step_y = static_cast<int64_t>(p.rows.phases.size()),
            .out_step_x = static_cast<int64_t>(p.columns.phases.size()),
            .first_channel = first,
            .channels = std::min(tile_columns, w.N - first),
            .begin = begin,
            .end = std::min(begin + grain, outputs),
        });
      });
    }
}

/// x [rows, C] into [rows, to_C] of another type, zeros past C.
template <typename From, typename To>
std::unique_ptr<To[], Free> repack(const From* x, int64_t rows, int64_t C, int64_t to_C) {
  auto copy = scratch<To>(rows * to_C);
  parallel_ranges(rows, rows_of_range(to_C), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      To* to = copy.get() + row * to_C;
      for (int64_t c = 0; c < C; ++c) {
        if constexpr (std::is_same_v<From, To>)
          to[c] = x[row * C + c];
        else
          to[c] = to_float(x[row * C + c]);
      }
      for (int64_t c = C; c < to_C; ++c) to[c] = To{};
    }
  });
  return copy;
}

void product(const Product& p, float* y, const float* residual, const float* bias, const float* x,
             const Weights<float>& w) {
  const ConvTables& t = tables();
  multiply<float, float>(t.f32, t.rows, t.columns, p, y, residual, bias, x, w.C, w);
}

void product(const Product& p, uint16_t* y, const uint16_t* residual, const float* bias,
             const uint16_t* x, const Weights<uint16_t>& w) {
  const int64_t pixels = p.B * p.H * p.W;
  if (!has_pairs()) {
    const ConvTables& t = tables();
    const auto wide = repack<uint16_t, float>(x, pixels, w.C, w.C);
    multiply<float, uint16_t>(t.f32_to_bf16, t.rows, t.columns, p, y, residual, bias, wide.get(),
                              w.C, w);
    return;
  }
  const ConvPairTables& t = conv2d_avx512_bf16;
  if (w.C % 2 == 0) {
    multiply<uint16_t, uint16_t>(t.bf16, t.rows, t.columns, p, y, residual, bias, x, w.C, w);
  } else {
    const auto even = repack<uint16_t, uint16_t>(x, pixels, w.C, w.C + 1);
    multiply<uint16_t, uint16_t>(t.bf16, t.rows, t.columns, p, y, residual, bias, even.get(),
                                 w.C + 1, w);
  }
}

/// The bias as floats, zeros where there is none and past the last channel.
template <typename T>
std::vector<float> wide_bias(const TensorView& bias, int64_t N) {
  std::vector<float> wide(N + 64, 0.f);
  if (bias)
    for (int64_t n = 0; n < N; ++n) wide[n] = to_float(bias.data<T>()[n]);
  return wide;
}

/// y [pixels, N] = x [pixels, C] w^T + bias + residual
void product_forward(const Conv2dForward& op) {
  const int64_t N = op.w.dim(0), C = op.w.dim(3);
  gemm({.M = op.x.rows(),
        .N = N,
        .K = C,
        .dtype = op.x.dtype,
        .output_dtype = op.y.dtype,
        .a = {.data = op.x.pointer, .row_stride = C, .column_stride = 1},
        .b = {.data = op.w.pointer, .row_stride = 1, .column_stride = C},
        .output = {.out = op.y.pointer,
                   .stride = N,
                   .bias = op.bias.pointer,
                   .residual = op.residual.pointer}});
}

template <typename T>
void forward(const Conv2dForward& op) {
  const auto [B, H, W, Cin] = op.x.sizes<4>();
  const auto [Cout, kh, kw, same] = op.w.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  const int64_t Ho = op.y.dim(1), Wo = op.y.dim(2);
  const Product p{.B = B,
                  .H = H,
                  .W = W,
                  .Ho = Ho,
                  .Wo = Wo,
                  .rows = forward_axis(Ho, kh, g.stride, g.top, g.upsample),
                  .columns = forward_axis(Wo, kw, g.stride, g.left, g.upsample)};
  product(p, op.y.data<T>(), op.residual ? op.residual.data<T>() : nullptr,
          wide_bias<T>(op.bias, Cout).data(), op.x.data<T>(),
          Weights<T>{op.w.data<T>(), Cout, Cin, kh * kw * Cin, kw * Cin, Cin, 1});
}

template <typename T>
void backward_x(const Conv2dBackward& op) {
  const auto [B, H, W, Cin] = op.x.sizes<4>();
  const auto [Cout, kh, kw, same] = op.w.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  const Product p{.B = B,
                  .H = op.dy.dim(1),
                  .W = op.dy.dim(2),
                  .Ho = H,
                  .Wo = W,
                  .rows = gradient_axis(H, kh, g.stride, g.top, g.upsample),
                  .columns = gradient_axis(W, kw, g.stride, g.left, g.upsample)};
  const T* none = nullptr;
  product(p, op.dx.data<T>(), none, wide_bias<T>({}, Cin).data(), op.dy.data<T>(),
          Weights<T>{op.w.data<T>(), Cin, Cout, 1, kw * Cin, Cin, kh * kw * Cin});
}

template <typename T>
void backward_w(const Conv2dBackward& op) {
  const auto [B, H, W, Cin] = op.x.sizes<4>();
  const auto [Cout, kh, kw, same] = op.w.sizes<4>();
  const Conv2dGeometry& g = op.geometry;
  const int64_t parts = (Cout + kConvWeightChannels - 1) / kConvWeightChannels;
  // Each block owns its part of dw and walks all pixels in order: no partial sums to add up.
  parallel_blocks(kh * kw * parts, [&, Cin = Cin, kw = kw](int64_t index) {
    const int64_t tap = index / parts, first = index % parts * kConvWeightChannels;
    const auto space = scratch<float>(conv_weight_scratch(Cin));
    const ConvWeightRange<T> range{
        .dw = op.dw.data<float>() + tap * Cin,
        .scratch = space.get(),
        .dy = op.dy.data<T>(),
        .x = op.x.data<T>(),
        .B = op.x.dim(0),
        .H = op.x.dim(1),
        .W = op.x.dim(2),
        .C = Cin,
        .Ho = op.dy.dim(1),
        .Wo = op.dy.dim(2),
        .N = op.dy.dim(3),
        .taps = op.w.dim(1) * kw,
        .stride = g.stride,
        .shift_y = tap / kw - g.top,
        .shift_x = tap % kw - g.left,
        .upsample = g.upsample,
        .first_channel = first,
        .channels = std::min(kConvWeightChannels, op.dy.dim(3) - first),
    };
    if constexpr (sizeof(T) == 4)
      tables().weight_f32(range);
    else if (has_pairs())
      conv2d_avx512_bf16.weight_bf16(range);
    else
      tables().weight_bf16(range);
  });
}

constexpr int64_t kWeightsAtOnce = int64_t{1} << 18;  // up to which sums of all taps fit a cache
constexpr int64_t kPixelsOfBlock = 256;
constexpr int64_t kMostParts = 16;

/// Whether the gradients of all taps are taken in one walk over the pixels.
bool takes_taps_at_once(const Conv2dBackward& op) {
  const Conv2dGeometry& g = op.geometry;
  return op.x.dtype == DType::kBFloat16 && has_pairs() && g.stride == 1 && !g.upsample &&
         op.w.numel() <= kWeightsAtOnce;
}

void backward_w_at_once(const Conv2dBackward& op) {
  const auto [B, H, W, C] = op.x.sizes<4>();
  const auto [N, kh, kw, same] = op.w.sizes<4>();
  const int64_t Ho = op.dy.dim(1), Wo = op.dy.dim(2), words = kw * C;
  const int64_t word_pitch = (words + 15) / 16 * 16, row = kh * word_pitch;
  const int64_t rows = std::min({Ho, kConvWeightRows, std::max<int64_t>(1, kPixelsOfBlock / Wo)});
  const int64_t blocks = B * ((Ho + rows - 1) / rows);
  // Sums of fixed parts of the pixels, added up in order, do not depend on threads.
  const int64_t parts = std::min(blocks, kMostParts), size = (N + 7) / 8 * 8 * row;
  const auto totals = scratch<float>(parts * size);
  parallel_blocks(parts, [&, H = H, W = W, C = C, N = N, kh = kh, kw = kw](int64_t part) {
    float* total = totals.get() + part * size;
    std::fill(total, total + size, 0.f);
    ConvWeightRows range{
        .total = total,
        .scratch = nullptr,
        .dy = op.dy.data<uint16_t>(),
        .x = op.x.data<uint16_t>(),
        .H = H,
        .W = W,
        .C = C,
        .Ho = Ho,
        .Wo = Wo,
        .N = N,
        .kh = kh,
        .kw = kw,
        .top = op.geometry.top,
        .left = op.geometry.left,
        .word_pitch = word_pitch,
        .rows = rows,
        .begin = part * blocks / parts,
        .end = (part + 1) * blocks / parts,
    };
    const auto space = scratch<uint32_t>(conv_weight_rows_scratch(range));
    range.scratch = space.get();
    conv2d_avx512_bf16.weight_rows_bf16(range);
  });
  parallel_blocks(N, [&, kh = kh](int64_t n) {
    float* sum = totals.get() + n * row;
    for (int64_t part = 1; part < parts; ++part)
      for (int64_t i = 0; i < row; ++i) sum[i] += sum[part * size + i];
    for (int64_t u = 0; u < kh; ++u) {
      float* to = op.dw.data<float>() + (n * kh + u) * words;
      for (int64_t i = 0; i < words; ++i) to[i] += sum[u * word_pitch + i];
    }
  });
}

template <typename T>
void backward_bias(const Conv2dBackward& op) {
  constexpr int64_t kRowsOfPart = 256;  // fixed, so that the sums do not depend on threads
  const int64_t N = op.dy.dim(3), rows = op.dy.rows();
  const int64_t parts = (rows + kRowsOfPart - 1) / kRowsOfPart;
  std::vector<float> sums(parts * N, 0.f);
  parallel_blocks(parts, [&](int64_t part) {
    float* to = sums.data() + part * N;
    const int64_t end = std::min(rows, (part + 1) * kRowsOfPart);
    for (int64_t row = part * kRowsOfPart; row < end; ++row)
      for (int64_t n = 0; n < N; ++n) to[n] += to_float(op.dy.data<T>()[row * N + n]);
  });
  for (int64_t n = 0; n < N; ++n) {
    double total = 0;
    for (int64_t part = 0; part < parts; ++part) total += sums[part * N + n];
    op.dbias.data<float>()[n] += static_cast<float>(total);
  }
}

}  // namespace

void conv2d_forward(const Conv2dForward& op, Stream&) {
  if (is_product(op.x, op.w, op.y, op.geometry))
    product_forward(op);
  else
    visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
  if (op.statistics) group_norm_statistics(op.statistics.data<float>(), op.y, op.statistics.dim(1));
}

void conv2d_backward(const Conv2dBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() {
    if (op.dx) backward_x<T>(op);
    if (op.dw) takes_taps_at_once(op) ? backward_w_at_once(op) : backward_w<T>(op);
    if (op.dbias) backward_bias<T>(op);
  });
}

}  // namespace srpo::cpu
