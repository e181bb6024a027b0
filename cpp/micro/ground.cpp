#include "cpp/micro/ground.h"

namespace srpo::micro {
namespace {

struct Seam {
  float inside;  // 0 on the seam, 1 well within a piece
  float piece;   // a uniform of the piece
};

/// Planks along z, 0.5 wide.
Seam plank(const Noise& noise, float x, float softness) {
  const float across = x * 2.f + 32.f;
  const int i = floor_of(across);
  const float at = across - static_cast<float>(i);
  const float edge = smaller(at, 1.f - at);
  return {smoothstep(.015f, .015f + softness, edge), noise.cell(i, 7, 3)};
}

/// Slabs: the cells nearest to one jittered point each (Voronoi).
Seam slab(const Noise& noise, float x, float z, float softness) {
  x = x * 1.25f + 32.f;
  z = z * 1.25f + 32.f;
  const int ix = floor_of(x), iz = floor_of(z);
  float nearest = 9.f, second = 9.f, piece = 0.f;
  for (int j = -1; j <= 1; ++j)
    for (int i = -1; i <= 1; ++i) {
      const float a = static_cast<float>(ix + i) + .12f + .76f * noise.cell(ix + i, iz + j, 1);
      const float b = static_cast<float>(iz + j) + .12f + .76f * noise.cell(ix + i, iz + j, 2);
      const float d = (a - x) * (a - x) + (b - z) * (b - z);
      if (d < nearest) {
        second = nearest;
        nearest = d;
        piece = noise.cell(ix + i, iz + j, 5);
      } else if (d < second) {
        second = d;
      }
    }
  const float edge = std::sqrt(second) - std::sqrt(nearest);
  return {smoothstep(.03f, .03f + softness, edge), piece};
}

constexpr Vec3 kGrass = {.075f, .20f, .03f}, kSand = {.60f, .41f, .165f},
               kSnow = {.82f, .86f, .92f}, kWood = {.25f, .115f, .042f},
               kStone = {.19f, .19f, .20f};

}  // namespace

Vec3 textured_ground(const Scene& scene, float x, float z, float far) {
  const Noise& noise = scene.noise;
  const float fine = clamp(1.35f - far / 9.f);  // what a distant pixel averages away
  const float patches = noise.plane(x * .9f + 9.f, z * .9f + 9.f, 0, 2) - .5f;
  switch (scene.ground) {
    case Ground::kGrass: {
      const float blades = noise.plane(x * 21.f, z * 7.f, 2, 2) - .5f;
      const float tone = .5f + 1.3f * fine * blades + .9f * patches;
      return mix(Vec3{.03f, .085f, .012f}, {.16f, .30f, .06f}, smoothstep(0.f, 1.f, tone)) *
             Vec3{1.f + .2f * scene.tint, 1.f, 1.f};
    }
    case Ground::kSand: {
      const float ripple = wave(z * 1.5f + .25f * x + 1.6f * patches);
      const float grains = noise.plane(x * 23.f, z * 23.f, 2) - .5f;
      return kSand * (1.f + .55f * patches + fine * (.13f * ripple + .38f * grains)) *
             Vec3{1.f, 1.f, 1.f - .15f * scene.tint};
    }
    case Ground::kSnow: {
      const float drift = noise.plane(x * 2.6f, z * 4.f, 2, 2) - .5f;
      const float tone = clamp(.75f + 1.1f * drift * (.4f + .6f * fine) + .5f * patches);
      return mix(Vec3{.50f, .57f, .72f}, {.90f, .92f, .95f}, tone);
    }
    case Ground::kWood: {
      const Seam seam = plank(noise, x, .05f);
      const float grain =
          noise.plane(x * 15.f + 40.f * seam.piece, z * 1.3f + 30.f * seam.piece, 2, 2) - .5f;
      const float tone = 1.f + .55f * (seam.piece - .5f) + (.35f + .6f * fine) * 1.1f * grain;
      return kWood * mix(1.f, .16f + .84f * seam.inside, clamp(.3f + fine)) * tone *
             Vec3{1.f, 1.f + .1f * scene.tint, 1.f};
    }
    case Ground::kStone: {
      const Seam seam = slab(noise, x, z, .10f);
      const float speckle = noise.plane(x * 11.f, z * 11.f, 2, 2) - .5f;
      const float tone = .75f + .55f * seam.piece + .75f * fine * speckle;
      return kStone * tone * mix(1.f, .2f + .8f * seam.inside, clamp(.35f + fine)) *
             Vec3{1.f + .06f * scene.tint, 1.f, 1.f - .06f * scene.tint};
    }
  }
  return {};
}

Vec3 plain_ground(const Scene& scene, float x, float z, float seams) {
  switch (scene.ground) {
    case Ground::kGrass:
      return kGrass * Vec3{1.f + .2f * scene.tint, 1.f, 1.f};
    case Ground::kSand:
      return kSand * Vec3{1.f, 1.f, 1.f - .15f * scene.tint};
    case Ground::kSnow:
      return kSnow;
    case Ground::kWood:
      return kWood * mix(1.f, plank(scene.noise, x, .03f).inside, seams);
    case Ground::kStone:
      return kStone * mix(1.f, slab(scene.noise, x, z, .05f).inside, seams);
  }
  return {};
}

}  // namespace srpo::micro
