// The blocks of attention on cores that multiply pairs of bfloat16 (twice as fast as floats). Both
// factors of every product are bfloat16, probabilities and their gradients rounded to it; the sums are
// floats. A word is two neighbours along the summed dimension:
//
//   product        sum over   left word                 right word
//   s  = q k^T     Dh         q [i, 2d..]               k [j, 2d..], transposed
//   out = p v      keys       p [i, 2j..]               v [2j.., d]
//   dp = dout v^T  Dh         dout [i, 2d..]            v [j, 2d..], transposed
//   dv = p^T dout  queries    p [2i.., j]               dout [2i.., d]
//   dk = ds^T q    queries    ds [2i.., j]              q [2i.., d]
//   dq = ds k      keys       ds [i, 2j..]              k [2j.., d]
#pragma once

namespace {

/// Rows of bfloat16 as words of two: only moved, never computed with.
SRPO_INLINE const float* words(const bf16_bits* p) {
  return reinterpret_cast<const float*>(p);
}

/// to [(rows + 1) / 2, up_to_16(n)] = words of two neighbouring rows; 0 past the end.
void pair_rows(float* to, int64_t to_stride, const bf16_bits* from, int64_t from_stride,
               int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; i += 2)
    for_each_16(n, [&](int64_t j, int64_t count) {
      const u32x16 low = (u32x16)load_at(from + i * from_stride, j, count) >> 16;
      const u32x16 high =
          i + 1 < rows ? (u32x16)load_at(from + (i + 1) * from_stride, j, count) : u32x16{};
      store(to + i / 2 * to_stride + j, (f32x16)(low | high));
    });
}

void attention_forward_pairs(const AttentionForwardTask<bf16_bits>& task) {
  const auto& s = task.scores;
  if (s.Dh % 2 != 0) return attention_forward_task(task);
  const int64_t Dh = s.Dh, D = padded(Dh), wide = up_to_16(Dh), half = Dh / 2;
  const AttentionBlocks blocks = attention_blocks(Dh);
  const int64_t K = padded(blocks.keys), rows = task.end - task.first, H = padded(half);
  float* scratch = task.scratch;
  float* kt = take(scratch, half * K);
  float* v = take(scratch, (blocks.keys + 1) / 2 * D);
  float* q = take(scratch, rows * H);
  float* out = take(scratch, rows * D);
  float* scores = take(scratch, blocks.queries * K);
  float* p = take(scratch, blocks.queries * K);
  float* hidden = take(scratch, K);
  float* bias_row = take(scratch, K);
  float* highest_score = take(scratch, up_to_16(rows));
  float* factor = take(scratch, up_to_16(rows));
  float* sums = take(scratch, 16 * rows);

  copy_rows(q, H, words(s.q + task.first * Dh), half, rows, half);
  for (int64_t i = 0; i < rows; ++i) highest_score[i] = -kInfinity;
  for (int64_t i = 0; i < 16 * rows; ++i) sums[i] = 0.f;

  const int64_t last = s.causal && task.end < s.Lk ? task.end : s.Lk;
  for (int64_t j = 0; j < last; j += blocks.keys) {
    const int64_t n = last - j < blocks.keys ? last - j : blocks.keys;
    transpose_rows(kt, K, words(s.k + j * Dh), n, half);
    pair_rows(v, D, s.v + j * Dh, Dh, n, Dh);
    const KeyBlock block = key_block(s, j, n, hidden, bias_row);
    for (int64_t i = 0; i < rows; i += blocks.queries) {
      const int64_t m = rows - i < blocks.queries ? rows - i : blocks.queries;
      if (j > 0 && s.causal && j >= task.first + i + m) continue;
      block_product<Pairs>(scores, K, {q + i * H, H, 1}, kt, K, m, up_to_16(n), half, Into::kSet);
      for (int64_t r = 0; r < m; ++r)
        factor[r] = softmax_row(s, block, task.first + i + r, scores + r * K,
                                reinterpret_cast<bf16_bits*>(p + r * K), highest_score + i + r,
                                sums + 16 * (i + r));
      block_product<Pairs>(out + i * D, D, {p, K, 1}, v, D, m, wide, (n + 1) / 2,
                           j == 0 ? Into::kSet : Into::kScaleAndAdd, factor);
    }
  }
  finish_rows(task, out, highest_score, sums);
}

/// Two rows of floats, rounded, as words of both: [up_to_16(n)].
SRPO_INLINE f32x16 pair_of(f32x16 low, f32x16 high) {
  const __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)low));
  const __m512i b = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)high));
  return (f32x16)_mm512_or_si512(a, _mm512_slli_epi32(b, 16));
}

void attention_backward_pairs(const AttentionBackwardTask<bf16_bits>& task) {
  const auto& s = task.scores;
  if (s.Dh % 2 != 0) return attention_backward_task(task);
  const int64_t Dh = s.Dh, D = padded(Dh), wide = up_to_16(Dh), half = Dh / 2, H = padded(half);
  const AttentionBlocks blocks = attention_blocks(Dh);
  const int64_t K = padded(blocks.keys);
  float* scratch = task.scratch;
  float* kt = take(scratch, half * K);
  float* vt = take(scratch, half * K);
  float* k = take(scratch, (blocks.keys + 1) / 2 * D);
  float* dk = take(scratch, blocks.keys * D);
  float* dv = take(scratch, blocks.keys * D);
  float* q = take(scratch, blocks.queries * H);
  float* dout = take(scratch, blocks.queries * H);
  float* q_pairs = take(scratch, blocks.queries / 2 * D);
  float* dout_pairs = take(scratch, blocks.queries / 2 * D);
  float* p = take(scratch, blocks.queries * K);
  float* ds = take(scratch, blocks.queries * K);
  float* p_pairs = take(scratch, blocks.queries / 2 * K);
  float* ds_pairs = take(scratch, blocks.queries / 2 * K);
  float* ds_rows = take(scratch, blocks.queries * K);  // bfloat16, half of each row used
  float* hidden = take(scratch, K);
  float* bias_row = take(scratch, K);

  for (int64_t j = task.first; j < task.end; j += blocks.keys) {
    const int64_t n = task.end - j < blocks.keys ? task.end - j : blocks.keys;
    transpose_rows(kt, K, words(s.k + j * Dh), n, half);
    transpose_rows(vt, K, words(s.v + j * Dh), n, half);
    pair_rows(k, D, s.k + j * Dh, Dh, n, Dh);
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
      const bf16_bits* dout_rows = task.dout + i * task.dout_stride;
      copy_rows(q, H, words(s.q + i * Dh), half, m, half);
      copy_rows(dout, H, words(dout_rows), task.dout_stride / 2, m, half);
      pair_rows(q_pairs, D, s.q + i * Dh, Dh, m, Dh);
      pair_rows(dout_pairs, D, dout_rows, task.dout_stride, m, Dh);
      block_product<Pairs>(p, K, {q, H, 1}, kt, K, m, up_to_16(n), half, Into::kSet);
      block_product<Pairs>(ds, K, {dout, H, 1}, vt, K, m, up_to_16(n), half, Into::kSet);
      for (int64_t r = 0; r < m; ++r)
        probabilities_row(s, block, i + r, p + r * K, ds + r * K, task.lse[i + r],
                          delta_of(task, i + r),
                          task.dbias == nullptr ? nullptr : task.dbias + (i + r) * s.Lk + j);
      for (int64_t r = 0; r < m; r += 2)
        for (int64_t c = 0; c < n; c += 16) {
          const bool two = r + 1 < m;
          const float *p0 = p + r * K + c, *ds0 = ds + r * K + c;
          const f32x16 ds1 = two ? load(ds0 + K) : splat(0.f);
          store(p_pairs + r / 2 * K + c, pair_of(load(p0), two ? load(p0 + K) : splat(0.f)));
          store(ds_pairs + r / 2 * K + c, pair_of(load(ds0), ds1));
          store_rounded(reinterpret_cast<bf16_bits*>(ds_rows + r * K) + c, load(ds0));
          if (two) store_rounded(reinterpret_cast<bf16_bits*>(ds_rows + (r + 1) * K) + c, ds1);
        }
      const int64_t pairs = (m + 1) / 2;
      block_product<Pairs>(dv, D, {p_pairs, 1, K}, dout_pairs, D, n, wide, pairs, Into::kAdd);
      block_product<Pairs>(dk, D, {ds_pairs, 1, K}, q_pairs, D, n, wide, pairs, Into::kAdd);
      block_product<Pairs>(dq, wide, {ds_rows, K, 1}, k, D, m, wide, (n + 1) / 2,
                           j == task.first ? Into::kSet : Into::kAdd);
    }
    write_key_gradients(task, dk, dv, j, n);
  }
}

}  // namespace
