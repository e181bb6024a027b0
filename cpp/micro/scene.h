#pragma once
#include "cpp/micro/draws.h"
#include "cpp/micro/noise.h"
#include "cpp/micro/numbers.h"

namespace srpo::micro {

// The values' order is that of ts/micro/attributes.ts, which names them.
enum class Shape { kBall, kCube, kCone, kCylinder, kRing };
enum class Ground { kGrass, kSand, kSnow, kWood, kStone };
enum class Daytime { kDay, kDusk, kNight };
enum class Style { kPhoto, kCg, kPainting, kFlat };

/// What a caption says; each an index into its list of values.
struct Attributes {
  int shape, colour, size, position, ground, light;
};
constexpr int kAttributeCounts[] = {5, 8, 2, 3, 5, 3};
constexpr int kStyles = 4;

/// Where light comes from; colours are linear.
struct Lights {
  Vec3 direction;  // to the sun or moon, a unit vector
  Vec3 key;        // its colour
  Vec3 sky;        // of what comes from above
  Vec3 bounced;    // and of what the ground throws back from below
};

struct Camera {
  Vec3 eye, forward, right, up;
  float reach;  // half the picture's width at distance 1

  /// The unit direction through (u, v), each -1 to 1, v upwards.
  Vec3 ray(float u, float v) const {
    return normalized(forward + right * (u * reach) + up * (v * reach));
  }
};

/// One object on the ground plane y = 0. The camera looks along +z, x is to the right.
struct Scene {
  Shape shape;
  Ground ground;
  Daytime daytime;
  float radius;        // half the object's extent, in scene units
  Vec3 place;          // of the object's middle on the ground
  float cosine, sine;  // of its turn about the vertical
  Vec3 albedo;         // its colour, linear
  float tint;          // -1 to 1, of the ground
  Lights lights;
  Camera camera;
  SceneKey key;
  Noise noise;

  Vec3 centre() const { return {place.x, radius, place.z}; }
};

/// The scene that attributes and a key name: all that a caption leaves open is drawn from the key.
void draw_scene(Scene& scene, const Attributes& attributes, const SceneKey& key);

}  // namespace srpo::micro
