#pragma once
#include <cstdint>
#include <vector>

#include "cpp/micro/numbers.h"

namespace srpo::micro {

enum class Kind : uint8_t { kSky, kGround, kObject };

/// What a camera ray met.
struct Sample {
  Vec3 direction;    // of the ray, a unit vector
  float depth;       // along it; kFar for the sky
  Vec3 normal;       // 0 for the sky
  float light = 1;   // share of the key light that arrives
  float open = 1;    // share of the sky that is seen
  float mirror = 0;  // share of the object in a glossy ground's reflection: 0 or 1
  Kind kind = Kind::kSky;
};
constexpr float kFar = 30.f;

/// A picture in the making: 2 x 2 samples a pixel, then pixels. One a thread, used again.
struct Canvas {
  int size = 0;                 // pixels a side
  int width = 0;                // samples a side, 2 * size
  std::vector<Sample> samples;  // [width, width]
  std::vector<Vec3> colours;    // [width, width], linear light
  std::vector<Vec3> pixels;     // [size, size], linear light, then display values
  std::vector<Vec3> spare;      // [width, width]
  std::vector<float> weights;   // [width, width]

  void resize(int pixels_a_side) {
    size = pixels_a_side;
    width = 2 * size;
    const auto n = static_cast<size_t>(width) * static_cast<size_t>(width);
    samples.resize(n);
    colours.resize(n);
    spare.resize(n);
    weights.resize(n);
    pixels.resize(n / 4);
  }
  /// Samples a unit of what sizes are given in: 1 where the picture is 64 pixels wide.
  float scale() const { return static_cast<float>(width) / 128.f; }
};

}  // namespace srpo::micro
