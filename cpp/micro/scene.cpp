#include "cpp/micro/scene.h"

#include "cpp/micro/ground.h"

namespace srpo::micro {
namespace {

// Linear albedos, in the order red, green, blue, yellow, purple, orange, white, black.
constexpr Vec3 kAlbedos[] = {
    {.62f, .022f, .02f}, {.03f, .30f, .045f}, {.018f, .065f, .56f}, {.80f, .60f, .018f},
    {.24f, .028f, .38f}, {.88f, .215f, .01f}, {.84f, .84f, .84f},   {.011f, .011f, .013f},
};

struct Sun {
  float height;  // sine of its angle above the horizon
  Vec3 key, sky;
};
// Day, dusk, night.
constexpr Sun kSuns[] = {
    {.80f, {2.35f, 2.2f, 1.95f}, {.50f, .60f, .78f}},
    {.38f, {2.25f, 1.15f, .60f}, {.36f, .27f, .36f}},
    {.70f, {.37f, .40f, .56f}, {.078f, .090f, .145f}},
};

constexpr float kDistance[] = {4.7f, 5.3f};
constexpr float kReach[] = {.41f, .46f};

Camera draw_camera(Draws& draws) {
  Camera camera;
  camera.eye = {draws.uniform(-.25f, .25f), draws.uniform(1.2f, 1.9f),
                -draws.uniform(kDistance[0], kDistance[1])};
  camera.reach = draws.uniform(kReach[0], kReach[1]);
  const Vec3 target = {.4f * camera.eye.x, .62f, 0.f};
  camera.forward = normalized(target - camera.eye);
  camera.right = normalized(cross({0.f, 1.f, 0.f}, camera.forward));
  camera.up = cross(camera.forward, camera.right);
  return camera;
}

Lights draw_lights(Draws& draws, const Sun& sun) {
  // From either side and from behind the camera, so that shadows fall into the picture.
  const float height = clamp(sun.height + draws.uniform(-.06f, .06f));
  const float across = std::sqrt(1.f - height * height);
  const float sign = draws.sign();  // draws in an order that no compiler may change
  const float side = sign * draws.uniform(.45f, .92f);
  const float back = -std::sqrt(1.f - side * side) * .9f;
  return {normalized({across * side, height, across * back}), sun.key, sun.sky, {}};
}

}  // namespace

void draw_scene(Scene& scene, const Attributes& attributes, const SceneKey& key) {
  Draws draws(key);
  scene.key = key;
  scene.noise.fill(key);
  scene.shape = static_cast<Shape>(attributes.shape);
  scene.ground = static_cast<Ground>(attributes.ground);
  scene.daytime = static_cast<Daytime>(attributes.light);
  scene.camera = draw_camera(draws);
  scene.lights = draw_lights(draws, kSuns[attributes.light]);

  const bool big = attributes.size == 1;
  scene.radius = big ? draws.uniform(.82f, .95f) : draws.uniform(.46f, .55f);
  // A share of the picture's half width at the origin, so that the object stays inside.
  const float half_width = scene.camera.reach * -scene.camera.eye.z;
  const float aside = big ? draws.uniform(.44f, .53f) : draws.uniform(.50f, .62f);
  scene.place = {
      static_cast<float>(attributes.position - 1) * aside * half_width + draws.uniform(-.09f, .09f),
      0.f, draws.uniform(-.35f, .45f)};
  const random::Direction turn = random::direction(
      static_cast<uint32_t>(static_cast<int64_t>(draws.uniform(-.11f, .11f) * 0x1p32f)));
  scene.cosine = turn.cosine;
  scene.sine = turn.sine;

  const float brightness = draws.uniform(.85f, 1.12f);
  const Vec3 hue = {draws.uniform(.94f, 1.06f), draws.uniform(.94f, 1.06f),
                    draws.uniform(.94f, 1.06f)};
  scene.albedo = clamped(kAlbedos[attributes.colour] * hue * brightness, .92f);
  scene.tint = draws.uniform(-1.f, 1.f);

  Lights& lights = scene.lights;
  lights.bounced =
      plain_ground(scene, 0.f, 0.f, 0.f) * (lights.key * (.45f * lights.direction.y) + lights.sky);
}

}  // namespace srpo::micro
