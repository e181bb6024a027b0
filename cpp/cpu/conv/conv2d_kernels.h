#pragma once
#include <cstdint>

namespace srpo::cpu {

/// Some output pixels times some output channels of a convolution. The picture is read in place: a
/// tap of a pixel is C neighbouring values, or zeros where it falls outside.
///
/// The outputs are those at rows out_y + out_step * i, columns out_x + out_step * j; the tap (u, v)
/// of (i, j) is the input pixel (in_step_y * i + u, in_step_x * j + v). In may be float or the bits of
/// a bfloat16, Out too.
template <typename In, typename Out>
struct ConvRange {
  Out* y;               // [B, Ho, Wo, N]
  const Out* residual;  // as y, or null
  const float* bias;    // the bias of these channels, `columns` of the table at least
  const In* x;          // [B, H, W, C]
  const In* zeros;      // [C]
  const In* weights;    // [taps, C, columns] packed; pairs of bfloat16 along C lie together
  const int32_t* tap_y;
  const int32_t* tap_x;
  int64_t taps;
  int64_t H, W, C;
  int64_t Ho, Wo, N;
  int64_t grid_rows, grid_columns;  // of (i, j)
  int64_t in_step_y, in_step_x;
  int64_t out_y, out_x, out_step_y, out_step_x;
  int64_t first_channel, channels;  // of y
  int64_t begin, end;               // outputs, counted over [B, grid_rows, grid_columns]
};

/// The weight gradient of one tap for some output channels:
/// dw[n, tap, c] += sum over the outputs of dy[., n] * x[its input pixel, c].
template <typename T>
struct ConvWeightRange {
  float* dw;       // [N, taps, C], at this tap
  float* scratch;  // conv_weight_scratch(C) floats
  const T* dy;     // [B, Ho, Wo, N]
  const T* x;      // [B, H, W, C]
  int64_t B, H, W, C;
  int64_t Ho, Wo, N;
  int64_t taps;
  int64_t stride, shift_y, shift_x;  // input row = i * stride + shift_y
  bool upsample;                     // half of that, rounded down
  int64_t first_channel, channels;   // at most kConvWeightChannels
};

constexpr int64_t kConvWeightChannels = 32;
constexpr int64_t kConvWeightPixels = 128;  // one block of the sum over pixels
constexpr int64_t conv_weight_scratch(int64_t C) {
  return (kConvWeightChannels + kConvWeightPixels / 2) * (C + 32) +
         kConvWeightPixels * (kConvWeightChannels + 16);
}

/// The weight gradient of all taps for some blocks of `rows` output rows, stride 1:
/// total[n, u, (v, c)] += sum over their outputs (b, i, j) of dy[b, i, j, n] * x[b, i + u - top, j + v - left, c].
struct ConvWeightRows {
  float* total;        // [N up to 8, kh, word_pitch]
  uint32_t* scratch;   // conv_weight_rows_scratch() words
  const uint16_t* dy;  // [B, Ho, Wo, N]
  const uint16_t* x;   // [B, H, W, C]
  int64_t H, W, C;
  int64_t Ho, Wo, N;
  int64_t kh, kw, top, left;
  int64_t word_pitch;  // kw * C, up to 16
  int64_t rows;        // of a block, at most kConvWeightRows
  int64_t begin, end;  // blocks, counted over [B, Ho / rows]
};

constexpr int64_t kConvWeightRows = 64;
constexpr int64_t conv_weight_rows_scratch(const ConvWeightRows& r) {
  const int64_t pairs = (r.Wo + 1) / 2;
  return r.rows * pairs * (r.N + 16) + (r.rows + r.kh) * ((2 * pairs + r.kw) * r.C + 64);
}

/// One instruction set's convolution. `rows` pixels by `columns` channels are held in registers.
struct ConvTables {
  int64_t rows, columns;
  void (*f32)(const ConvRange<float, float>&);
  void (*f32_to_bf16)(const ConvRange<float, uint16_t>&);
  /// to[i] = sum over k of rows[k][i] for i < n, in float.
  void (*sum_f32)(float* to, const float* const* rows, int64_t count, int64_t n);
  void (*sum_bf16)(uint16_t* to, const uint16_t* const* rows, int64_t count, int64_t n);
  /// to[c * width + n] = from[n * pitch + c], words of 32 bits.
  void (*transpose)(uint32_t* to, int64_t width, const uint32_t* from, int64_t pitch, int64_t rows,
                    int64_t columns);
  void (*weight_f32)(const ConvWeightRange<float>&);
  void (*weight_bf16)(const ConvWeightRange<uint16_t>&);
};

/// On dot products of bfloat16 pairs; C is even, but for the weight gradient, whose pairs are pixels.
struct ConvPairTables {
  int64_t rows, columns;
  void (*bf16)(const ConvRange<uint16_t, uint16_t>&);
  void (*weight_bf16)(const ConvWeightRange<uint16_t>&);
  void (*weight_rows_bf16)(const ConvWeightRows&);
};

extern const ConvTables conv2d_generic;
extern const ConvTables conv2d_avx2;
extern const ConvTables conv2d_avx512;
extern const ConvPairTables conv2d_avx512_bf16;

}  // namespace srpo::cpu
