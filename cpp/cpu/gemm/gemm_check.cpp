#include "cpp/cpu/gemm/gemm_check.h"

#include <cmath>
#include <vector>

#include "cpp/core/dtype.h"

namespace srpo::cpu {
namespace {

std::vector<bfloat16> numbers(int64_t n, uint32_t seed) {
  std::vector<bfloat16> all;
  for (int64_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    all.emplace_back(static_cast<float>(seed >> 8) / 8388608.f - 1.f);
  }
  return all;
}

/// The panel of `pack`, in memory that begins at a cache line and has room beyond the end.
struct Panel {
  std::vector<char> bytes;
  void* start;

  Panel(const GemmKernel& kernel, int width, int64_t depth)
      : bytes(static_cast<size_t>((depth + kernel.unit) * width * kernel.element_bytes + 192)) {
    start = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(bytes.data()) + 63) / 64 * 64);
  }
};

}  // namespace

bool multiplies_right(const GemmKernel& kernel) {
  const int64_t K = 77, first = kernel.unit < K ? 64 : 0;  // depth of the first of two blocks
  for (const int64_t M : {int64_t{kernel.mr}, int64_t{kernel.mr} / 2 - 3})
    for (const bool along : {true, false}) {
      const int64_t N = kernel.nr - 5;
      const auto a = numbers(M * K, 1), b = numbers(N * K, 2);
      const auto line = [&](int64_t lines) { return along ? K : (void(lines), int64_t{1}); };
      const auto step = [&](int64_t lines) { return along ? 1 : lines; };
      std::vector<float> c(static_cast<size_t>(kernel.mr * kernel.nr));
      for (const auto& [k, depth] : {std::pair{int64_t{0}, first}, {first, K - first}}) {
        if (depth == 0) continue;
        const Panel panel_a(kernel, kernel.mr, depth), panel_b(kernel, kernel.nr, depth);
        kernel.pack_a(panel_a.start, a.data() + k * step(M), M, depth, line(M), step(M));
        kernel.pack_b(panel_b.start, b.data() + k * step(N), N, depth, line(N), step(N));
        kernel.micro(c.data(), panel_a.start, panel_b.start, depth, M, 0, 0, k > 0);
      }
      for (int64_t i = 0; i < M; ++i)
        for (int64_t j = 0; j < N; ++j) {
          double exact = 0;
          for (int64_t k = 0; k < K; ++k)
            exact += static_cast<double>(static_cast<float>(a[i * line(M) + k * step(M)])) *
                     static_cast<float>(b[j * line(N) + k * step(N)]);
          if (!(std::fabs(c[i * kernel.nr + j] - exact) < 1e-4)) return false;
        }
    }
  return true;
}

}  // namespace srpo::cpu
