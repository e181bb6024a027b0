#include "cpp/ops/resample/taps.h"

#include <algorithm>
#include <cmath>

namespace srpo {
namespace {

// Every rounding of torch's float kernels, in their order: a coordinate of some hundreds is off by 1e-5
// there, and a table in double would be that far from the pixels that the rewards were trained on.

/// The cubic kernel with parameter a, 0 <= |x| < 1.
float cubic_near(float x, float a) {
  return ((a + 2.f) * x - (a + 3.f)) * x * x + 1.f;
}

/// The same for 1 <= |x| < 2.
float cubic_far(float x, float a) {
  return ((a * x - 5.f * a) * x + 8.f * a) * x - 4.f * a;
}

float cubic_antialias(float x) {
  x = std::fabs(x);
  if (x < 1.f) return cubic_near(x, -0.5f);
  if (x < 2.f) return (((x - 5.f) * x + 8.f) * x - 4.f) * -0.5f;
  return 0.f;
}

}  // namespace

Taps bicubic_taps(int64_t in, int64_t out, bool antialias) {
  Taps taps;
  const auto add = [&](int64_t j, float weight) {
    taps.index.push_back(static_cast<int32_t>(j));
    taps.weights.push_back(weight);
  };
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  for (int64_t i = 0; i < out; ++i) {
    taps.start.push_back(static_cast<int32_t>(taps.index.size()));
    const float middle = scale * (static_cast<float>(i) + 0.5f);
    if (in == out) {
      add(i, 1.f);
    } else if (antialias) {
      const float support = scale >= 1.f ? 2.f * scale : 2.f;
      const float narrow = scale >= 1.f ? 1.f / scale : 1.f;
      const int64_t from = std::max<int64_t>(static_cast<int64_t>(middle - support + 0.5f), 0);
      const int64_t to = std::min<int64_t>(static_cast<int64_t>(middle + support + 0.5f), in);
      const auto weight = [&](int64_t j) {
        return cubic_antialias((static_cast<float>(j) - middle + 0.5f) * narrow);
      };
      float total = 0.f;
      for (int64_t j = from; j < to; ++j) total += weight(j);
      for (int64_t j = from; j < to; ++j) add(j, weight(j) / total);
    } else {
      constexpr float kA = -0.75f;
      const float source = middle - 0.5f, floor = std::floor(source), t = source - floor;
      const float weights[] = {cubic_far(t + 1.f, kA), cubic_near(t, kA), cubic_near(1.f - t, kA),
                               cubic_far(1.f - t + 1.f, kA)};
      for (int64_t j = 0; j < 4; ++j)
        add(std::clamp<int64_t>(static_cast<int64_t>(floor) - 1 + j, 0, in - 1), weights[j]);
    }
  }
  taps.start.push_back(static_cast<int32_t>(taps.index.size()));
  return taps;
}

Taps rows_of(const Taps& taps, int64_t first, int64_t count) {
  Taps rows;
  for (int64_t i = first; i < first + count; ++i) {
    rows.start.push_back(static_cast<int32_t>(rows.index.size()));
    if (i < 0 || i >= taps.outputs()) continue;
    for (int32_t k = taps.start[i]; k < taps.start[i + 1]; ++k) {
      rows.index.push_back(taps.index[k]);
      rows.weights.push_back(taps.weights[k]);
    }
  }
  rows.start.push_back(static_cast<int32_t>(rows.index.size()));
  return rows;
}

Taps transposed(const Taps& taps, int64_t inputs) {
  Taps turned;
  turned.start.assign(inputs + 1, 0);
  for (const int32_t j : taps.index) ++turned.start[j + 1];
  for (int64_t j = 0; j < inputs; ++j) turned.start[j + 1] += turned.start[j];
  std::vector<int32_t> next(turned.start.begin(), turned.start.end() - 1);
  turned.index.resize(taps.index.size());
  turned.weights.resize(taps.index.size());
  for (int64_t i = 0; i < taps.outputs(); ++i)
    for (int32_t k = taps.start[i]; k < taps.start[i + 1]; ++k) {
      const int32_t to = next[taps.index[k]]++;
      turned.index[to] = static_cast<int32_t>(i);
      turned.weights[to] = taps.weights[k];
    }
  return turned;
}

}  // namespace srpo
