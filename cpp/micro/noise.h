#pragma once
#include "cpp/micro/draws.h"
#include "cpp/micro/numbers.h"

namespace srpo::micro {

/// Value noise over a lattice of Philox uniforms, one lattice a scene. Values lie in [0, 1), about
/// 0.5. It repeats after 64 cells of a plane, which no picture shows.
class Noise {
 public:
  void fill(const SceneKey& key);

  /// A uniform of the cell, the same whenever it is asked for.
  float cell(int x, int y, int z = 0) const {
    return lattice_[static_cast<unsigned>(x + kY * y + kZ * z) % kCells];
  }
  float plane(float x, float y, int layer = 0) const;
  float space(Vec3 p, int layer = 0) const;
  /// Octaves of half the size and 0.55 of the weight each, the weights' sum 1.
  float plane(float x, float y, int layer, int octaves) const;
  float space(Vec3 p, int layer, int octaves) const;

 private:
  static constexpr int kCells = 4096, kY = 64, kZ = 1049, kLayer = 411;
  float lattice_[kCells];
};

}  // namespace srpo::micro
