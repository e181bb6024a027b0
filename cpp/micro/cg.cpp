// CG: the look of a renderer's first day.

#include "cpp/micro/ground.h"
#include "cpp/micro/shade.h"
#include "cpp/micro/sky.h"
#include "cpp/micro/styles.h"
#include "cpp/micro/trace.h"

namespace srpo::micro {
namespace {

constexpr float kSaturation = 1.25f;
constexpr float kBloomFrom = .80f;  // light above this glows
constexpr float kBloom = .75f;

Vec3 shaded(const Scene& scene, const Sample& sample) {
  const Lights& lights = scene.lights;
  if (sample.kind == Kind::kSky) {
    const Vec3 white = {.9f, .9f, 1.f};
    return clear_sky(scene, sample.direction) + white * star(scene, sample.direction);
  }
  if (sample.kind == Kind::kGround) {
    const Vec3 p = point_of(scene, sample);
    const Vec3 albedo = saturated(plain_ground(scene, p.x, p.z, .6f), kSaturation);
    const Vec3 image = scene.albedo * (lights.key * .45f + lights.sky);
    const Vec3 colour = mix(diffuse(scene, sample, albedo), image, .42f * sample.mirror);
    return hazy(colour, clear_sky(scene, {0.f, .02f, 1.f}), sample.depth);
  }
  const Vec3 albedo = saturated(scene.albedo, kSaturation);
  const float shine = 1.5f * highlight(scene, sample, sample.normal, 6);
  const float grazing = 1.f - larger(-dot(sample.normal, sample.direction), 0.f);
  const float rim = .35f * grazing * grazing * grazing;
  return diffuse(scene, sample, albedo) + lights.key * shine + lights.sky * rim;
}

/// What is brighter than the screen spreads: two box blurs of the excess, added.
void bloom(Canvas& canvas) {
  const int S = canvas.size, reach = S / 22;
  std::vector<Vec3>&from = canvas.spare, &to = canvas.colours;
  for (size_t i = 0; i < canvas.pixels.size(); ++i) {
    const Vec3 c = canvas.pixels[i] - Vec3{kBloomFrom, kBloomFrom, kBloomFrom};
    from[i] = {larger(c.x, 0.f), larger(c.y, 0.f), larger(c.z, 0.f)};
  }
  const float share = 1.f / static_cast<float>(2 * reach + 1);
  // Along rows and along columns, each twice, by running sums; beyond the edge is dark.
  for (const int pass : {0, 1, 0, 1}) {
    const int step = pass == 0 ? 1 : S, line = pass == 0 ? S : 1;
    for (int l = 0; l < S; ++l) {
      Vec3 sum;
      for (int k = -reach; k < S; ++k) {
        if (k + reach < S) sum = sum + from[l * line + (k + reach) * step];
        if (k - reach - 1 >= 0) sum = sum - from[l * line + (k - reach - 1) * step];
        if (k >= 0) to[l * line + k * step] = sum * share;
      }
    }
    std::swap(from, to);
  }
  for (size_t i = 0; i < canvas.pixels.size(); ++i)
    canvas.pixels[i] = canvas.pixels[i] + from[i] * kBloom;
}

}  // namespace

void draw_cg(const Scene& scene, Canvas& canvas) {
  trace_shadow(scene, canvas, 0.f);
  trace_mirror(scene, canvas);
  for (size_t i = 0; i < canvas.samples.size(); ++i)
    canvas.colours[i] = clamped(shaded(scene, canvas.samples[i]) * kExposure, 1.6f);
  resolve(canvas);
  bloom(canvas);
  for (Vec3& pixel : canvas.pixels) pixel = saturated(encoded(pixel), kSaturation);
}

}  // namespace srpo::micro
