// The blocks of attention, for whatever target the including file has set. Scores are kept in base 2
// (times log2 e), so that a probability is one exp2.
#include "cpp/cpu/attention/attention_kernels.h"
#include "cpp/cpu/attention/block_product.h"
#include "cpp/cpu/vector.h"

namespace {

using namespace srpo::cpu;

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;
constexpr float kInfinity = __builtin_inff();

/// 2^x within 2 ulp for x up to 127; 0 from -127 down, no better than 2^-126 just above; NaN stays NaN.
SRPO_INLINE f32x16 power_of_two(f32x16 x) {
  const f32x16 clamped = maximum(splat(-127.f), x);
  const f32x16 shifted = clamped + 12582912.f;  // rounds to an integer
  const f32x16 r = clamped - (shifted - 12582912.f);
  f32x16 p = splat(1.5403530e-4f);
  p = p * r + 1.3333558e-3f;
  p = p * r + 9.6181291e-3f;
  p = p * r + 5.5504109e-2f;
  p = p * r + 2.4022651e-1f;
  p = p * r + 6.9314718e-1f;
  p = p * r + 1.f;
  // Unsigned: with an x that is no number the sum wraps.
  using bits = std::uint32_t __attribute__((vector_size(64)));
  return (f32x16)((bits)p + ((bits)shifted << 23));  // at -127: 1 with no exponent left, 0
}
SRPO_INLINE float power_of_two(float x) {
  return power_of_two(splat(x))[0];
}

SRPO_INLINE float highest_of(f32x16 v) {
#ifdef __AVX512F__
  return _mm512_reduce_max_ps((__m512)v);
#else
  return highest(v);
#endif
}

/// to [rows, up_to_16(n)] = from [rows, n], as floats; the columns past n are 0.
template <typename T>
void copy_rows(float* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t rows,
               int64_t n) {
  for (int64_t i = 0; i < rows; ++i)
    for_each_16(n, [&](int64_t j, int64_t count) {
      store(to + i * to_stride + j, load_at(from + i * from_stride, j, count));
    });
}

#ifdef __AVX512F__
/// Sixteen rows of sixteen become columns.
SRPO_INLINE void transpose_16(f32x16 (&rows)[16]) {
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps((__m512)rows[i], (__m512)rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps((__m512)rows[i], (__m512)rows[i + 1]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      const __m512d low = (__m512d)a[i + j], high = (__m512d)a[i + j + 2];
      b[i + 2 * j] = (__m512)_mm512_unpacklo_pd(low, high);
      b[i + 2 * j + 1] = (__m512)_mm512_unpackhi_pd(low, high);
    }
  // b[4 g + c] holds column c of each lane of four, rows 4 g to 4 g + 3.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 p = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88);
    const __m512 q = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd);
    const __m512 r = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88);
    const __m512 s = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
    rows[c] = (f32x16)_mm512_shuffle_f32x4(p, r, 0x88);
    rows[8 + c] = (f32x16)_mm512_shuffle_f32x4(p, r, 0xdd);
    rows[4 + c] = (f32x16)_mm512_shuffle_f32x4(q, s, 0x88);
    rows[12 + c] = (f32x16)_mm512_shuffle_f32x4(q, s, 0xdd);
  }
}
#endif

/// to [n, up_to_16(rows)] = the transpose of from [rows, n], as floats; columns past `rows` are 0.
template <typename T>
void transpose_rows(float* to, int64_t to_stride, const T* from, int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; i += 16) {
    const int64_t height = rows - i < 16 ? rows - i : 16;
    for (int64_t j = 0; j < n; j += 16) {
      const int64_t width = n - j < 16 ? n - j : 16;
      f32x16 square[16] = {};
      for (int64_t r = 0; r < height; ++r) square[r] = load_at(from + (i + r) * n, j, width);
#ifdef __AVX512F__
      transpose_16(square);
      for (int64_t c = 0; c < width; ++c) store(to + (j + c) * to_stride + i, square[c]);
#else
      float values[16][16];
      std::memcpy(values, square, sizeof values);
      for (int64_t c = 0; c < width; ++c)
        for (int64_t r = 0; r < 16; ++r) to[(j + c) * to_stride + i + r] = values[r][c];
#endif
    }
  }
}

/// A block of scores as its rows need it: which keys, what hides them.
struct KeyBlock {
  int64_t first, count;  // keys
  float* hidden;         // [count up to 16]: -infinity where no query sees the key, else 0
  bool any_hidden;
  float* bias_row;  // scratch for a row of the bias
};

template <typename T>
KeyBlock key_block(const AttentionScores<T>& s, int64_t first, int64_t count, float* hidden,
                   float* bias_row) {
  KeyBlock block{first, count, hidden, s.key_mask != nullptr, bias_row};
  for (int64_t j = 0; j < up_to_16(count); ++j)
    hidden[j] =
        j >= count || (s.key_mask != nullptr && s.key_mask[first + j] == 0) ? -kInfinity : 0.f;
  return block;
}

/// Whether a row of the block is all scores times a constant, above 0 so that -infinity stays it.
template <typename T>
bool is_plain(const AttentionScores<T>& s, const KeyBlock& block, int64_t query) {
  return s.bias == nullptr && s.bias_bf == nullptr && !block.any_hidden && s.scale > 0.f &&
         !(s.causal && block.first + block.count - 1 > query);
}

/// What stands past the block's keys, up to a whole vector, becomes -infinity.
SRPO_INLINE void hide_tail(const KeyBlock& block, float* row) {
  const int64_t j = block.count / 16 * 16;
  if (j == block.count) return;
  const f32x16 hidden = load(block.hidden + j);
  store(row + j, hidden < 0.f ? hidden : load(row + j));
}

/// row = scale2 * row + bias, with -infinity where the query sees no key. Base 2.
template <typename T>
void finish_scores(const AttentionScores<T>& s, const KeyBlock& block, int64_t query, float* row) {
  const int64_t n = block.count;
  const bool biased = s.bias != nullptr || s.bias_bf != nullptr;
  if (s.bias != nullptr) copy_rows(block.bias_row, 0, s.bias + query * s.Lk + block.first, 0, 1, n);
  if (s.bias_bf != nullptr)
    copy_rows(block.bias_row, 0, s.bias_bf + query * s.Lk + block.first, 0, 1, n);
  const float scale2 = s.scale * kLog2E;
  const i32x16 lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const int64_t seen = s.causal ? query - block.first + 1 : n;
  for (int64_t j = 0; j < n; j += 16) {
    f32x16 x = load(row + j) * scale2;
    if (biased) x += load(block.bias_row + j) * kLog2E;
    const f32x16 hidden = load(block.hidden + j);
    x = hidden < 0.f ? hidden : x;
    if (seen < j + 16)
      x = lanes + static_cast<int32_t>(j) >= static_cast<int32_t>(seen) ? splat(-kInfinity) : x;
    store(row + j, x);
  }
}

SRPO_INLINE void store_rounded(float* p, f32x16 v) {
  store(p, v);
}
SRPO_INLINE void store_rounded(bf16_bits* p, f32x16 v) {
#ifdef __AVX512BF16__
  const __m256bh half = _mm512_cvtneps_pbh((__m512)v);
  std::memcpy(p, &half, sizeof half);
#else
  store(p, v);
#endif
}

/// One row of scores becomes `probabilities` (which may lie in its place) relative to the highest score so far. `highest` and the
/// sixteen partial `sums` go on from the blocks before; returns what those must be multiplied by.
template <typename T, typename P>
float softmax_row(const AttentionScores<T>& s, const KeyBlock& block, int64_t query, float* row,
                  P* probabilities, float* highest_score, float* sums) {
  const bool plain = is_plain(s, block, query);
  const float factor = plain ? s.scale * kLog2E : 1.f;
  if (plain)
    hide_tail(block, row);
  else
    finish_scores(s, block, query, row);
  f32x16 best = splat(-kInfinity);
  for (int64_t j = 0; j < block.count; j += 16) best = maximum(load(row + j) * factor, best);
  const float before = *highest_score;
  const float in_block = highest_of(best);
  const float now = in_block > before ? in_block : before;
  const float reference = now == -kInfinity ? 0.f : now;  // -inf - -inf would be NaN
  const float rescale = before == -kInfinity ? 0.f : power_of_two(before - reference);
  f32x16 total = load(sums) * rescale;
  for (int64_t j = 0; j < block.count; j += 16) {
    const f32x16 p = power_of_two(load(row + j) * factor - reference);
    total += p;
    store_rounded(probabilities + j, p);
  }
  store(sums, total);
  *highest_score = now;
  return rescale;
}

/// The part of scratch that holds `n` floats; moves on.
float* take(float*& scratch, int64_t n) {
  float* part = scratch;
  scratch += n;
  return part;
}

/// Divides the sums by their weights: out and lse of a task.
template <typename T>
void finish_rows(const AttentionForwardTask<T>& task, const float* out, const float* highest_score,
                 const float* sums) {
  const int64_t Dh = task.scores.Dh, D = padded(Dh), rows = task.end - task.first;
  for (int64_t i = 0; i < rows; ++i) {
    const float total = sum(load(sums + 16 * i));
    const float inverse = total == 0.f ? 0.f : 1.f / total;
    task.lse[task.first + i] =
        total == 0.f ? kInfinity : highest_score[i] * kLn2 + __builtin_logf(total);
    T* to = task.out + (task.first + i) * task.out_stride;
    for_each_16(Dh, [&](int64_t d, int64_t count) {
      store_at(to, d, load(out + i * D + d) * inverse, count);
    });
  }
}

template <typename T>
void attention_forward_task(const AttentionForwardTask<T>& task) {
  const auto& s = task.scores;
  const int64_t Dh = s.Dh, D = padded(Dh), wide = up_to_16(Dh);
  const AttentionBlocks blocks = attention_blocks(Dh);
  const int64_t K = padded(blocks.keys), rows = task.end - task.first;
  float* scratch = task.scratch;
  float* kt = take(scratch, Dh * K);
  float* v = take(scratch, blocks.keys * D);
  float* q = take(scratch, rows * D);
  float* out = take(scratch, rows * D);
  float* scores = take(scratch, blocks.queries * K);
  float* hidden = take(scratch, K);
  float* bias_row = take(scratch, K);
  float* highest_score = take(scratch, up_to_16(rows));
  float* factor = take(scratch, up_to_16(rows));
  float* sums = take(scratch, 16 * rows);

  copy_rows(q, D, s.q + task.first * Dh, Dh, rows, Dh);
  for (int64_t i = 0; i < rows; ++i) highest_score[i] = -kInfinity;
  for (int64_t i = 0; i < 16 * rows; ++i) sums[i] = 0.f;

  const int64_t last = s.causal && task.end < s.Lk ? task.end : s.Lk;
  for (int64_t j = 0; j < last; j += blocks.keys) {
    const int64_t n = last - j < blocks.keys ? last - j : blocks.keys;
    transpose_rows(kt, K, s.k + j * Dh, n, Dh);
    copy_rows(v, D, s.v + j * Dh, Dh, n, Dh);
    const KeyBlock block = key_block(s, j, n, hidden, bias_row);
    for (int64_t i = 0; i < rows; i += blocks.queries) {
      const int64_t m = rows - i < blocks.queries ? rows - i : blocks.queries;
      if (j > 0 && s.causal && j >= task.first + i + m) continue;
      block_product(scores, K, {q + i * D, D, 1}, kt, K, m, up_to_16(n), Dh, Into::kSet);
      for (int64_t r = 0; r < m; ++r)
        factor[r] = softmax_row(s, block, task.first + i + r, scores + r * K, scores + r * K,
                                highest_score + i + r, sums + 16 * (i + r));
      block_product(out + i * D, D, {scores, K, 1}, v, D, m, wide, n,
                    j == 0 ? Into::kSet : Into::kScaleAndAdd, factor);
    }
  }

  finish_rows(task, out, highest_score, sums);
}

/// <dout, out> of a query. Made again for each block of keys: cheaper than a pass of its own.
template <typename T>
float delta_of(const AttentionBackwardTask<T>& task, int64_t query) {
  const T* dout = task.dout + query * task.dout_stride;
  const T* out = task.out + query * task.out_stride;
  f32x16 total = splat(0.f);
  for_each_16(task.scores.Dh, [&](int64_t d, int64_t count) {
    total += load_at(dout, d, count) * load_at(out, d, count);
  });
  return sum(total);
}

/// p = the probabilities of a row, from its lse; ds = p * (dp - delta), in place of dp.
template <typename T>
void probabilities_row(const AttentionScores<T>& s, const KeyBlock& block, int64_t query, float* p,
                       float* ds, float lse, float delta, float* dbias) {
  const bool plain = is_plain(s, block, query);
  const float factor = plain ? s.scale * kLog2E : 1.f;
  if (plain)
    hide_tail(block, p);
  else
    finish_scores(s, block, query, p);
  const float reference = lse * kLog2E;
  for (int64_t j = 0; j < block.count; j += 16) {
    const f32x16 probability = power_of_two(load(p + j) * factor - reference);
    store(p + j, probability);
    store(ds + j, probability * (load(ds + j) - delta));
  }
  if (dbias != nullptr)
    for_each_16(block.count, [&](int64_t j, int64_t count) {
      store_at(dbias, j, load_at(dbias, j, count) + load(ds + j), count);
    });
}

/// dk and dv of keys [j, j + n) from their sums.
template <typename T>
void write_key_gradients(const AttentionBackwardTask<T>& task, const float* dk, const float* dv,
                         int64_t j, int64_t n) {
  const int64_t Dh = task.scores.Dh, D = padded(Dh);
  for (int64_t r = 0; r < n; ++r)
    for_each_16(Dh, [&](int64_t d, int64_t count) {
      store_at(task.dk + (j + r) * Dh, d, load(dk + r * D + d) * task.scores.scale, count);
      store_at(task.dv + (j + r) * Dh, d, load(dv + r * D + d), count);
    });
}

template <typename T>
void attention_backward_task(const AttentionBackwardTask<T>& task) {
  const auto& s = task.scores;
  const int64_t Dh = s.Dh, D = padded(Dh), wide = up_to_16(Dh);
  const AttentionBlocks blocks = attention_blocks(Dh);
  const int64_t K = padded(blocks.keys);
  float* scratch = task.scratch;
  float* kt = take(scratch, Dh * K);
  float* vt = take(scratch, Dh * K);
  float* k = take(scratch, blocks.keys * D);
  float* dk = take(scratch, blocks.keys * D);
  float* dv = take(scratch, blocks.keys * D);
  float* q = take(scratch, blocks.queries * D);
  float* dout = take(scratch, blocks.queries * D);
  float* p = take(scratch, blocks.queries * K);
  float* ds = take(scratch, blocks.queries * K);
  float* hidden = take(scratch, K);
  float* bias_row = take(scratch, K);

  for (int64_t j = task.first; j < task.end; j += blocks.keys) {
    const int64_t n = task.end - j < blocks.keys ? task.end - j : blocks.keys;
    transpose_rows(kt, K, s.k + j * Dh, n, Dh);
    transpose_rows(vt, K, s.v + j * Dh, n, Dh);
    copy_rows(k, D, s.k + j * Dh, Dh, n, Dh);
    const KeyBlock block = key_block(s, j, n, hidden, bias_row);
    std::memset(dk, 0, sizeof(float) * n * D);
    std::memset(dv, 0, sizeof(float) * n * D);
    for (int64_t i = 0; i < s.Lq; i += blocks.queries) {
      const int64_t m = s.Lq - i < blocks.queries ? s.Lq - i : blocks.queries;
      float* dq = task.dq + i * wide;
      if (s.causal && j >= i + m) {
        if (j == task.first) std::memset(dq, 0, sizeof(float) * m * wide);
        continue;
      }
      copy_rows(q, D, s.q + i * Dh, Dh, m, Dh);
      copy_rows(dout, D, task.dout + i * task.dout_stride, task.dout_stride, m, Dh);
      block_product(p, K, {q, D, 1}, kt, K, m, up_to_16(n), Dh, Into::kSet);
      block_product(ds, K, {dout, D, 1}, vt, K, m, up_to_16(n), Dh, Into::kSet);
      for (int64_t r = 0; r < m; ++r)
        probabilities_row(s, block, i + r, p + r * K, ds + r * K, task.lse[i + r],
                          delta_of(task, i + r),
                          task.dbias == nullptr ? nullptr : task.dbias + (i + r) * s.Lk + j);
      block_product(dv, D, {p, 1, K}, dout, D, n, wide, m, Into::kAdd);
      block_product(dk, D, {ds, 1, K}, q, D, n, wide, m, Into::kAdd);
      block_product(dq, wide, {ds, K, 1}, k, D, m, wide, n,
                    j == task.first ? Into::kSet : Into::kAdd);
    }
    write_key_gradients(task, dk, dv, j, n);
  }
}

template <typename T>
void sum_parts_of_row(T* to, const float* from, int64_t parts, int64_t stride, float factor,
                      int64_t n) {
  for_each_16(n, [&](int64_t i, int64_t count) {
    f32x16 total = load_at(from, i, count);
    for (int64_t part = 1; part < parts; ++part) total += load_at(from + part * stride, i, count);
    store_at(to, i, total * factor, count);
  });
}

}  // namespace

#ifdef __AVX512BF16__
#include "cpp/cpu/attention/attention_pairs.h"
#else
namespace {
constexpr auto attention_forward_pairs = attention_forward_task<bf16_bits>;
constexpr auto attention_backward_pairs = attention_backward_task<bf16_bits>;
}  // namespace
#endif

namespace srpo::cpu {

extern const AttentionTables SRPO_NAMED(attention_) = {
    .f32 = {attention_forward_task<float>, attention_backward_task<float>, sum_parts_of_row<float>},
    .bf16 = {attention_forward_pairs, attention_backward_pairs, sum_parts_of_row<bf16_bits>},
};

}  // namespace srpo::cpu
