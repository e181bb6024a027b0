#pragma once
#include <cstdint>
#include <vector>

namespace srpo {

/// A sparse matrix, a row an output: output i is the sum of weights[k] * input[index[k]] for k in
/// [start[i], start[i + 1]).
struct Taps {
  std::vector<int32_t> start, index;
  std::vector<float> weights;

  int64_t outputs() const { return static_cast<int64_t>(start.size()) - 1; }
};

/// Bicubic taps from `in` to `out` samples, torch's rules and its float32 roundings. With antialias the
/// kernel (a = -0.5) widens by in / out where that is above 1, and is cut at the border and
/// normalised; without it (a = -0.75) four taps are clamped to the border. The identity if the sizes
/// are equal.
Taps bicubic_taps(int64_t in, int64_t out, bool antialias);

/// Rows first ... first + count - 1; rows outside have no taps.
Taps rows_of(const Taps& taps, int64_t first, int64_t count);

/// The transposed matrix: a row an input.
Taps transposed(const Taps& taps, int64_t inputs);

}  // namespace srpo
