#include "cpp/micro/sky.h"

namespace srpo::micro {
namespace {

struct Colours {
  Vec3 horizon, zenith, cloud;
};
// Day, dusk, night.
constexpr Colours kColours[] = {
    {{.78f, 1.02f, 1.30f}, {.13f, .42f, 1.25f}, {1.15f, 1.15f, 1.15f}},
    {{1.0f, .40f, .12f}, {.15f, .09f, .28f}, {.80f, .28f, .22f}},
    {{.030f, .045f, .125f}, {.004f, .007f, .028f}, {.035f, .042f, .085f}},
};

const Colours& colours(const Scene& scene) {
  return kColours[static_cast<int>(scene.daytime)];
}

/// 0 at the horizon, 1 at the picture's top or above.
float height_of(Vec3 direction) {
  return clamp(direction.y * 2.4f);
}

}  // namespace

Vec3 clear_sky(const Scene& scene, Vec3 direction) {
  const float height = height_of(direction);
  return mix(colours(scene).horizon, colours(scene).zenith, height * (1.6f - .6f * height));
}

Vec3 banded_sky(const Scene& scene, Vec3 direction) {
  const float height = height_of(direction);
  return mix(colours(scene).horizon, colours(scene).zenith, height > .38f ? .75f : .22f);
}

Vec3 cloudy_sky(const Scene& scene, Vec3 direction) {
  // Clouds lie in a plane overhead, so that they narrow towards the horizon.
  const float up = 1.f / (larger(direction.y, 0.f) + .22f);
  const float density =
      scene.noise.plane(direction.x * up * 1.9f + 20.f, up * 1.5f + 3.f * scene.tint, 3, 3);
  const float cover = .8f * smoothstep(.46f, .78f, density) * smoothstep(0.f, .1f, direction.y);
  return mix(clear_sky(scene, direction), colours(scene).cloud, cover);
}

float star(const Scene& scene, Vec3 direction) {
  if (scene.daytime != Daytime::kNight || direction.y < .03f) return 0.f;
  const float x = direction.x * 95.f + 64.f, y = direction.y * 95.f;
  return scene.noise.cell(floor_of(x), floor_of(y), 9) > .986f ? 1.f : 0.f;
}

}  // namespace srpo::micro
