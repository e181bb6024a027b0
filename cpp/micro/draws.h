#pragma once
#include "cpp/core/random.h"
#include "cpp/cpu/random/random_fill_kernels.h"

namespace srpo::micro {

/// A scene's draws are named by (seed, purpose, step, sample) as any tensor's; the counter's first
/// word is divided among what is drawn.
using SceneKey = cpu::RandomKey;
constexpr uint32_t kJitterDraws = 0;       // geometry and colour
constexpr uint32_t kLatticeDraws = 1024;   // textures
constexpr uint32_t kGrainDraws = 1 << 16;  // a photo's grain

/// One number after the other.
class Draws {
 public:
  explicit Draws(const SceneKey& key) : key_(key) {}

  uint32_t word() {
    if (used_ == 4) {
      words_ = random::philox4x32({{next_++, key_.purpose, key_.step, key_.sample}}, key_.seed[0],
                                  key_.seed[1]);
      used_ = 0;
    }
    return words_.word[used_++];
  }
  float uniform(float low, float high) { return low + (high - low) * random::uniform(word()); }
  /// -1 or 1.
  float sign() { return word() & 1 ? 1.f : -1.f; }

 private:
  SceneKey key_;
  uint32_t next_ = kJitterDraws;
  int used_ = 4;
  random::Words words_ = {};
};

}  // namespace srpo::micro
