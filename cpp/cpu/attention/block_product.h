// Products of small float matrices that lie in the cache, for whatever target the including file has
// set: c = a b, one register tile of kTileRows rows and up to kTileVectors vectors at a time.
#pragma once
#include "cpp/cpu/vector.h"

namespace {

// The tile: all but a handful of the registers are accumulators.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kTileRows = 6, kTileVectors = 4;  // 24 of 32
#elif defined(__AVX2__)
constexpr int kLanes = 8, kTileRows = 6, kTileVectors = 2;  // 12 of 16
#else
constexpr int kLanes = 4, kTileRows = 2, kTileVectors = 4;  // 8 of 16
#endif
using native_vector = float __attribute__((vector_size(kLanes * 4)));
using native_vector_at_will = float __attribute__((vector_size(kLanes * 4), aligned(4)));

SRPO_INLINE native_vector load_native(const float* p) {
  return *reinterpret_cast<const native_vector_at_will*>(p);
}
SRPO_INLINE void store_native(float* p, native_vector v) {
  *reinterpret_cast<native_vector_at_will*>(p) = v;
}

/// What becomes of what stands in c.
enum class Into { kSet, kAdd, kScaleAndAdd };

/// a's element (m, k) lies at a[m * row + k * column], so that a transposed a costs nothing.
struct Left {
  const float* at;
  int64_t row, column;
};

/// What one word of a and b is: a float, or (where the cores multiply those) two bfloat16, of which K
/// then counts pairs.
struct Floats {
  SRPO_INLINE static native_vector add_product(native_vector sum, float a, native_vector b) {
    return sum + a * b;
  }
};
#ifdef __AVX512BF16__
struct Pairs {
  SRPO_INLINE static native_vector add_product(native_vector sum, float a, native_vector b) {
    return (native_vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
  }
};
#endif

template <typename Word, int kRows, int kVectors>
void tile(float* c, int64_t ldc, Left a, const float* b, int64_t ldb, int64_t K, Into into,
          const float* factor) {
  native_vector sums[kRows][kVectors] = {};
  const float* left = a.at;
  for (int64_t k = 0; k < K; ++k) {
    native_vector right[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) right[j] = load_native(b + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const float value = left[i * a.row];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j)
        sums[i][j] = Word::add_product(sums[i][j], value, right[j]);
    }
    left += a.column;
    b += ldb;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      float* to = c + i * ldc + j * kLanes;
      native_vector sum = sums[i][j];
      if (into == Into::kAdd) sum += load_native(to);
      if (into == Into::kScaleAndAdd) sum += load_native(to) * factor[i];
      store_native(to, sum);
    }
}

template <typename Word, int kVectors>
void rows_of_tiles(float* c, int64_t ldc, Left a, const float* b, int64_t ldb, int64_t M, int64_t K,
                   Into into, const float* factor) {
  int64_t m = 0;
  const auto next = [&]<int kRows>() {
    tile<Word, kRows, kVectors>(c + m * ldc, ldc, {a.at + m * a.row, a.row, a.column}, b, ldb, K,
                                into, factor == nullptr ? nullptr : factor + m);
    m += kRows;
  };
  while (m + kTileRows <= M) next.template operator()<kTileRows>();
  if constexpr (kTileRows > 4)
    while (m + 4 <= M) next.template operator()<4>();
  if constexpr (kTileRows > 2)
    while (m + 2 <= M) next.template operator()<2>();
  if (m < M) next.template operator()<1>();
}

/// c [M, N] of `into` with a [M, K] b [K, N]; N is a multiple of sixteen, rows of b and c whole.
/// `factor` [M] is what kScaleAndAdd multiplies c's rows by.
template <typename Word = Floats>
void block_product(float* c, int64_t ldc, Left a, const float* b, int64_t ldb, int64_t M, int64_t N,
                   int64_t K, Into into, const float* factor = nullptr) {
  constexpr int64_t kDepth = 160;  // rows of b in the first-level cache at a time
  const int64_t vectors = N / kLanes, panels = (vectors + kTileVectors - 1) / kTileVectors;
  for (int64_t k = 0; k < K; k += kDepth) {
    const int64_t depth = K - k < kDepth ? K - k : kDepth;
    int64_t done = 0;
    for (int64_t panel = 0; panel < panels; ++panel) {
      // Panels of nearly equal width: 5 vectors are 3 and 2, not 4 and 1.
      const int64_t width = (vectors - done + panels - panel - 1) / (panels - panel);
      const auto rows = width == 1   ? rows_of_tiles<Word, 1>
                        : width == 2 ? rows_of_tiles<Word, 2>
                        : width == 3 ? rows_of_tiles<Word, (kTileVectors < 3 ? 2 : 3)>
                                     : rows_of_tiles<Word, kTileVectors>;
      rows(c + done * kLanes, ldc, {a.at + k * a.column, a.row, a.column},
           b + k * ldb + done * kLanes, ldb, M, depth, k == 0 ? into : Into::kAdd, factor);
      done += width;
    }
  }
}

}  // namespace
