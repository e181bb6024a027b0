// Group norm: y = act(w * xhat + b), xhat = (x - mean) * rstd over a sample's pixels and a group's
// channels.
//
// Backward, with g = dy * act'(w * xhat + b) and <.> the mean over the group:
//   dx = rstd * (w * g - <w * g> - xhat * <w * g * xhat>)
//   dw = sum over samples and pixels of g * xhat
//   db = sum over samples and pixels of g
//
// A sample's pixels are cut into parts of fixed size. A part's sums are float, one a channel; parts and
// the channels of a group are put together in double, in their order. Mean and squared deviation are
// taken part by part, in two passes while the part is in cache (E[x^2] - mean^2 would cancel), and
// joined by Chan's rule: the squares of parts, and n times the square of each part mean's distance.

#include "cpp/ops/norm/group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpp/cpu/isa.h"
#include "cpp/cpu/norm/group_norm_kernels.h"
#include "cpp/cpu/norm/group_norm_statistics.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

const GroupNormTables& tables() {
  static const auto& best = best_of(group_norm_generic, group_norm_avx2, group_norm_avx512);
  return best;
}

template <typename T>
const auto& kernels() {
  if constexpr (sizeof(T) == 4)
    return tables().f32;
  else
    return tables().bf16;
}

/// The sizes, and how a sample's pixels are cut.
struct Cut {
  int64_t B, P, C;  // P pixels a sample
  int64_t grain, parts;

  explicit Cut(const TensorView& x) : B(x.dim(0)), P(x.dim(1) * x.dim(2)), C(x.dim(3)) {
    grain = rows_of_range(C);
    parts = (P + grain - 1) / grain;
  }
  /// Calls f(sample, part of all, first element, pixels), in parallel.
  template <typename F>
  void for_each_part(const F& f) const {
    parallel_blocks(B * parts, [&](int64_t block) {
      const int64_t b = block / parts, begin = block % parts * grain;
      f(b, block, (b * P + begin) * C, std::min(grain, P - begin));
    });
  }
  /// totals [B, width] of sums [B * parts, width].
  std::vector<double> add_parts(const std::vector<float>& sums, int64_t width) const {
    std::vector<double> totals(B * width, 0.0);
    for (int64_t block = 0; block < B * parts; ++block)
      for (int64_t i = 0; i < width; ++i)
        totals[block / parts * width + i] += sums[block * width + i];
    return totals;
  }
};

/// One number a group from one a channel, [B, C] -> [B, groups], divided by the group's size.
std::vector<float> group_means(const std::vector<double>& totals, const Cut& cut, int64_t groups) {
  const int64_t width = cut.C / groups;
  std::vector<float> means(cut.B * groups);
  for (int64_t i = 0; i < cut.B * groups; ++i) {
    double total = 0;
    for (int64_t c = 0; c < width; ++c) total += totals[i * width + c];
    means[i] = static_cast<float>(total / static_cast<double>(width * cut.P));
  }
  return means;
}

/// [B, groups] -> [B, C]
std::vector<float> per_channel(const float* of_group, const Cut& cut, int64_t groups) {
  const int64_t width = cut.C / groups;
  std::vector<float> all(cut.B * cut.C);
  for (int64_t i = 0; i < cut.B * cut.C; ++i) all[i] = of_group[i / width];
  return all;
}

/// mean and variance [B, groups, 2] from the parts' means and squared deviations [B * parts, C].
void join_statistics(float* statistics, const std::vector<float>& means,
                     const std::vector<float>& squares, const Cut& cut, int64_t groups) {
  const int64_t width = cut.C / groups;
  for (int64_t i = 0; i < cut.B * groups; ++i) {
    const int64_t b = i / groups, channel = i % groups * width;
    const double size = static_cast<double>(width * cut.P);
    const auto over_parts = [&](const auto& f) {
      double total = 0;
      for (int64_t part = 0; part < cut.parts; ++part) {
        const int64_t first = (b * cut.parts + part) * cut.C + channel;
        const auto pixels = static_cast<double>(std::min(cut.grain, cut.P - part * cut.grain));
        for (int64_t c = first; c < first + width; ++c) total += f(c, pixels);
      }
      return total;
    };
    const double mu = over_parts([&](int64_t c, double n) { return n * means[c]; }) / size;
    const double deviation = over_parts(
        [&](int64_t c, double n) { return squares[c] + n * (means[c] - mu) * (means[c] - mu); });
    statistics[2 * i] = static_cast<float>(mu);
    statistics[2 * i + 1] = static_cast<float>(deviation / size);
  }
}

template <typename T>
std::vector<float> widened(const TensorView& t) {
  std::vector<float> all(t.numel());
  for (int64_t i = 0; i < t.numel(); ++i)
    if constexpr (sizeof(T) == 4)
      all[i] = t.data<float>()[i];
    else
      all[i] = float(t.data<bfloat16>()[i]);
  return all;
}

template <typename T>
void take_statistics(float* statistics, const TensorView& x, int64_t groups) {
  const Cut cut(x);
  const int64_t C = cut.C;
  std::vector<float> means(cut.B * cut.parts * C), squares(cut.B * cut.parts * C);
  cut.for_each_part([&](int64_t, int64_t part, int64_t first, int64_t pixels) {
    kernels<T>().statistics(means.data() + part * C, squares.data() + part * C, x.data<T>() + first,
                            pixels, C);
  });
  join_statistics(statistics, means, squares, cut, groups);
}

template <typename T>
void forward(const GroupNormForward& op) {
  const Cut cut(op.x);
  const int64_t C = cut.C, groups = op.mean.dim(1);
  const T* x = op.x.data<T>();
  std::vector<float> taken(op.statistics ? 0 : cut.B * groups * 2);
  if (!op.statistics) group_norm_statistics(taken.data(), op.x, groups);
  const float* statistics = op.statistics ? op.statistics.data<float>() : taken.data();
  for (int64_t i = 0; i < cut.B * groups; ++i) {
    op.mean.data<float>()[i] = statistics[2 * i];
    op.rstd.data<float>()[i] =
        static_cast<float>(1 / std::sqrt(double{statistics[2 * i + 1]} + double{op.eps}));
  }

  const std::vector<float> mean = per_channel(op.mean.data<float>(), cut, groups);
  const std::vector<float> rstd = per_channel(op.rstd.data<float>(), cut, groups);
  const std::vector<float> w = widened<T>(op.w), bias = widened<T>(op.b);
  cut.for_each_part([&](int64_t b, int64_t, int64_t first, int64_t pixels) {
    const GroupNormChannels channels{mean.data() + b * C, rstd.data() + b * C, w.data(),
                                     bias.data(), op.silu};
    kernels<T>().forward(op.y.data<T>() + first, x + first, channels, pixels, C);
  });
}

template <typename T>
void backward(const GroupNormBackward& op) {
  const Cut cut(op.x);
  const int64_t C = cut.C, groups = op.mean.dim(1);
  const T *x = op.x.data<T>(), *dy = op.dy.data<T>();
  const std::vector<float> mean = per_channel(op.mean.data<float>(), cut, groups);
  const std::vector<float> rstd = per_channel(op.rstd.data<float>(), cut, groups);
  const std::vector<float> w = widened<T>(op.w), bias = widened<T>(op.b);
  const auto channels_of = [&](int64_t b) {
    return GroupNormChannels{mean.data() + b * C, rstd.data() + b * C, w.data(), bias.data(),
                             op.silu};
  };

  std::vector<float> sums(cut.B * cut.parts * 2 * C);  // of g, then of g * xhat
  cut.for_each_part([&](int64_t b, int64_t part, int64_t first, int64_t pixels) {
    float* to = sums.data() + part * 2 * C;
    kernels<T>().backward_sums(to, to + C, dy + first, x + first, channels_of(b), pixels, C);
  });
  const std::vector<double> totals = cut.add_parts(sums, 2 * C);
  std::vector<double> g(cut.B * C), g_xhat(cut.B * C), db(C), dw(C);
  for (int64_t i = 0; i < cut.B * C; ++i) {
    const double of_g = totals[i / C * 2 * C + i % C],
                 of_g_xhat = totals[i / C * 2 * C + C + i % C];
    db[i % C] += of_g;
    dw[i % C] += of_g_xhat;
    g[i] = w[i % C] * of_g;
    g_xhat[i] = w[i % C] * of_g_xhat;
  }
  for (int64_t c = 0; c < C; ++c) {
    if (op.dw) op.dw.data<float>()[c] += static_cast<float>(dw[c]);
    if (op.db) op.db.data<float>()[c] += static_cast<float>(db[c]);
  }
  if (!op.dx) return;

  const std::vector<float> g_mean = per_channel(group_means(g, cut, groups).data(), cut, groups);
  const std::vector<float> g_xhat_mean =
      per_channel(group_means(g_xhat, cut, groups).data(), cut, groups);
  cut.for_each_part([&](int64_t b, int64_t, int64_t first, int64_t pixels) {
    kernels<T>().backward(op.dx.data<T>() + first, dy + first, x + first, channels_of(b),
                          g_mean.data() + b * C, g_xhat_mean.data() + b * C, pixels, C);
  });
}

}  // namespace

void group_norm_statistics(float* statistics, const TensorView& x, int64_t groups) {
  visit_bits(x.dtype, [&]<typename T>() { take_statistics<T>(statistics, x, groups); });
}

void group_norm_forward(const GroupNormForward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { forward<T>(op); });
}

void group_norm_backward(const GroupNormBackward& op, Stream&) {
  visit_bits(op.x.dtype, [&]<typename T>() { backward<T>(op); });
}

}  // namespace srpo::cpu
