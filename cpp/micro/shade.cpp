#include "cpp/micro/shade.h"

#include "cpp/micro/solid.h"

namespace srpo::micro {

Vec3 diffuse(const Scene& scene, const Sample& sample, Vec3 albedo) {
  const Lights& lights = scene.lights;
  const float facing = larger(dot(sample.normal, lights.direction), 0.f);
  const float up = .5f + .5f * sample.normal.y;
  const Vec3 around = mix(lights.bounced, lights.sky, up) * sample.open;
  return albedo * (lights.key * (facing * sample.light) + around);
}

Vec3 hazy(const Vec3& colour, const Vec3& horizon, float depth) {
  return mix(colour, horizon, .8f * smoothstep(8.f, 28.f, depth));
}

Vec3 rough_albedo(const Scene& scene, Vec3 point, float strength) {
  const Vec3 p = local(scene, point);
  const float coarse = scene.noise.space(p * (3.4f / scene.radius), 1, 2) - .5f;
  const float fine = scene.noise.space(p * 17.f, 4) - .5f;
  return scene.albedo * (1.f + strength * (.62f * coarse + .30f * fine));
}

Vec3 dented(const Scene& scene, Vec3 point, Vec3 normal, float strength) {
  const Vec3 p = local(scene, point) * 13.f;
  const Noise& noise = scene.noise;
  const Vec3 dent = {noise.space(p, 6) - .5f, noise.space(p, 7) - .5f, noise.space(p, 8) - .5f};
  return normalized(normal + dent * strength);
}

float highlight(const Scene& scene, const Sample& sample, Vec3 normal, int sharpness) {
  const Vec3 half = normalized(scene.lights.direction - sample.direction);
  return squared(larger(dot(normal, half), 0.f), sharpness) * sample.light;
}

void resolve(Canvas& canvas) {
  const int W = canvas.width;
  for (int y = 0; y < canvas.size; ++y)
    for (int x = 0; x < canvas.size; ++x) {
      const Vec3* at = canvas.colours.data() + 2 * y * W + 2 * x;
      canvas.pixels[y * canvas.size + x] = (at[0] + at[1] + at[W] + at[W + 1]) * .25f;
    }
}

}  // namespace srpo::micro
