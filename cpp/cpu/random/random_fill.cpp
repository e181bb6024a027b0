// Philox numbers: element i of a sample from draw i / 4, word i % 4 (cpp/core/random.h).

#include "cpp/ops/random/random_fill.h"

#include <algorithm>
#include <cstring>

#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/random/random_fill_kernels.h"
#include "cpp/cpu/visit.h"

namespace srpo::cpu {
namespace {

constexpr int64_t kStep = 64;      // numbers of one kernel call
constexpr int64_t kRange = 16384;  // and of one thread's turn

void put(float* to, const float* from, int64_t n) {
  std::memcpy(to, from, n * sizeof(float));
}
void put(uint32_t* to, const uint32_t* from, int64_t n) {
  std::memcpy(to, from, n * sizeof(uint32_t));
}
void put(uint16_t* to, const float* from, int64_t n) {
  write(to, from, n);
}

template <typename T, typename Source>
void fill(const RandomFill& op, void (*kernel)(Source*, const RandomKey&, uint32_t)) {
  const auto parts = static_cast<int64_t>(op.samples.size());
  const int64_t n = op.out.numel() / parts, ranges = (n + kRange - 1) / kRange;
  parallel_blocks(parts * ranges, [&](int64_t block) {
    const int64_t part = block / ranges, begin = block % ranges * kRange;
    const int64_t end = std::min(begin + kRange, n);
    const RandomKey key = {
        .seed = {static_cast<uint32_t>(op.seed), static_cast<uint32_t>(op.seed >> 32)},
        .purpose = op.purpose,
        .step = op.step,
        .sample = op.samples[static_cast<size_t>(part)]};
    T* out = op.out.data<T>() + part * n;
    Source numbers[kStep];
    for (int64_t i = begin; i < end; i += kStep) {
      kernel(numbers, key, static_cast<uint32_t>((op.offset + i) / 4));
      put(out + i, numbers, std::min(kStep, end - i));
    }
  });
}

}  // namespace

void random_fill(const RandomFill& op, Stream&) {
  static const RandomFillKernels& best =
      best_of(random_fill_generic, random_fill_avx2, random_fill_avx512);
  if (op.distribution == Distribution::kBits) {
    fill<uint32_t>(op, best.bits);
    return;
  }
  const auto kernel = op.distribution == Distribution::kNormal ? best.normal : best.uniform;
  visit_bits(op.out.dtype, [&]<typename T>() { fill<T>(op, kernel); });
}

}  // namespace srpo::cpu
