#include "cpp/ops/resample/taps.h"

#include <algorithm>
#include <cmath>

namespace srpo {
namespace {

double cubic(double x, double a) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return a * (((x - 5) * x + 8) * x - 4);
  return 0;
}

}  // namespace

Taps bicubic_taps(int64_t in, int64_t out, bool antialias) {
  Taps taps;
  const auto add = [&](int64_t j, double weight) {
    taps.index.push_back(static_cast<int32_t>(j));
    taps.weights.push_back(static_cast<float>(weight));
  };
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    taps.start.push_back(static_cast<int32_t>(taps.index.size()));
    if (in == out) {
      add(i, 1);
    } else if (antialias) {
      const double wide = std::max(scale, 1.0), support = 2 * wide, centre = scale * (i + 0.5);
      const int64_t from = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
      const int64_t to = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in);
      const auto weight = [&](int64_t j) { return cubic((j - centre + 0.5) / wide, -0.5); };
      double total = 0;
      for (int64_t j = from; j < to; ++j) total += weight(j);
      for (int64_t j = from; j < to; ++j) add(j, weight(j) / total);
    } else {
      const double source = scale * (i + 0.5) - 0.5, floor = std::floor(source);
      for (int64_t j = -1; j <= 2; ++j)
        add(std::clamp<int64_t>(static_cast<int64_t>(floor) + j, 0, in - 1),
            cubic(source - floor - static_cast<double>(j), -0.75));
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
