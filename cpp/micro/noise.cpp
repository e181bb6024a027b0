#include "cpp/micro/noise.h"

#include "cpp/cpu/isa.h"

namespace srpo::micro {
namespace {

constexpr float kWeight = 0.55f;
constexpr float kFiner = 2.07f;  // not 2: the lattices of two octaves do not meet

constexpr float eased(float t) {
  return t * t * (3.f - 2.f * t);
}

}  // namespace

void Noise::fill(const SceneKey& key) {
  const auto& best =
      cpu::best_of(cpu::random_fill_generic, cpu::random_fill_avx2, cpu::random_fill_avx512);
  for (int i = 0; i < kCells; i += 64) best.uniform(lattice_ + i, key, kLatticeDraws + i / 4);
}

float Noise::plane(float x, float y, int layer) const {
  const int ix = floor_of(x), iy = floor_of(y);
  const float u = eased(x - static_cast<float>(ix)), v = eased(y - static_cast<float>(iy));
  const int at = ix + kY * iy + kLayer * layer;
  const auto value = [&](int offset) {
    return lattice_[static_cast<unsigned>(at + offset) % kCells];
  };
  return mix(mix(value(0), value(1), u), mix(value(kY), value(kY + 1), u), v);
}

float Noise::space(Vec3 p, int layer) const {
  const int iz = floor_of(p.z);
  const float w = eased(p.z - static_cast<float>(iz));
  // A step along z is kZ cells: kZ = 2 kLayer + 227 has no small multiple among the layers.
  const int ix = floor_of(p.x), iy = floor_of(p.y);
  const float u = eased(p.x - static_cast<float>(ix)), v = eased(p.y - static_cast<float>(iy));
  const int at = ix + kY * iy + kZ * iz + kLayer * layer;
  const auto value = [&](int offset) {
    return lattice_[static_cast<unsigned>(at + offset) % kCells];
  };
  const auto slice = [&](int z) {
    return mix(mix(value(z), value(z + 1), u), mix(value(z + kY), value(z + kY + 1), u), v);
  };
  return mix(slice(0), slice(kZ), w);
}

float Noise::plane(float x, float y, int layer, int octaves) const {
  float sum = 0.f, weights = 0.f, weight = 1.f;
  for (int i = 0; i < octaves; ++i, x *= kFiner, y *= kFiner, weight *= kWeight) {
    sum += weight * plane(x, y, layer + i);
    weights += weight;
  }
  return sum / weights;
}

float Noise::space(Vec3 p, int layer, int octaves) const {
  float sum = 0.f, weights = 0.f, weight = 1.f;
  for (int i = 0; i < octaves; ++i, p = p * kFiner, weight *= kWeight) {
    sum += weight * space(p, layer + i);
    weights += weight;
  }
  return sum / weights;
}

}  // namespace srpo::micro
