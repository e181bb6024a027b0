// Sixteen draws at a time, for whatever target the including file has set. Written a lane at a time;
// the compiler makes vectors of the lanes, and since nothing is contracted every target has the same
// bits.
#pragma GCC optimize("fp-contract=off")

#include "cpp/core/random.h"
#include "cpp/cpu/random/random_fill_kernels.h"

namespace {

constexpr int kLanes = 16;

struct Draws {
  uint32_t word[4][kLanes];
};

[[gnu::always_inline]] inline void draw(Draws& to, const srpo::cpu::RandomKey& key,
                                        uint32_t first) {
  for (int i = 0; i < kLanes; ++i) {
    const srpo::random::Words words = srpo::random::philox4x32(
        {{first + static_cast<uint32_t>(i), key.purpose, key.step, key.sample}}, key.seed[0],
        key.seed[1]);
    for (int j = 0; j < 4; ++j) to.word[j][i] = words.word[j];
  }
}

void normal(float* out, const srpo::cpu::RandomKey& key, uint32_t first) {
  Draws draws;
  draw(draws, key, first);
  float value[4][kLanes];
  for (int pair = 0; pair < 4; pair += 2)
    for (int i = 0; i < kLanes; ++i) {
      const float r = srpo::random::radius(draws.word[pair][i]);
      const srpo::random::Direction a = srpo::random::direction(draws.word[pair + 1][i]);
      value[pair][i] = r * a.cosine;
      value[pair + 1][i] = r * a.sine;
    }
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < 4; ++j) out[4 * i + j] = value[j][i];
}

void uniform(float* out, const srpo::cpu::RandomKey& key, uint32_t first) {
  Draws draws;
  draw(draws, key, first);
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < 4; ++j) out[4 * i + j] = srpo::random::uniform(draws.word[j][i]);
}

void bits(uint32_t* out, const srpo::cpu::RandomKey& key, uint32_t first) {
  Draws draws;
  draw(draws, key, first);
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < 4; ++j) out[4 * i + j] = draws.word[j][i];
}

}  // namespace

namespace srpo::cpu {

extern const RandomFillKernels SRPO_NAMED(random_fill_) = {
    .normal = normal, .uniform = uniform, .bits = bits};

}  // namespace srpo::cpu
