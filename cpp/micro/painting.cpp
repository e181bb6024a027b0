// Painting: a ground coat, broad strokes, finer ones where they are missed, canvas under all.

#include "cpp/micro/ground.h"
#include "cpp/micro/shade.h"
#include "cpp/micro/sky.h"
#include "cpp/micro/strokes.h"
#include "cpp/micro/styles.h"
#include "cpp/micro/trace.h"

namespace srpo::micro {
namespace {

constexpr float kSunWidth = .06f;
constexpr Brush kBroad = {.spacing = 6.5f, .length = 24.f, .width = 8.5f, .difference = 0.f};
constexpr Brush kFine = {.spacing = 4.f, .length = 11.f, .width = 4.2f, .difference = .3f};

Vec3 subject(const Scene& scene, const Sample& sample) {
  if (sample.kind == Kind::kSky) return cloudy_sky(scene, sample.direction);
  const Vec3 p = point_of(scene, sample);
  if (sample.kind == Kind::kObject) return diffuse(scene, sample, scene.albedo);
  const Vec3 albedo =
      mix(plain_ground(scene, p.x, p.z, .8f), textured_ground(scene, p.x, p.z, sample.depth), .6f);
  return hazy(diffuse(scene, sample, albedo), clear_sky(scene, {0.f, .02f, 1.f}), sample.depth);
}

/// The weave's light and dark, one thread a pixel of 64.
float weave(int x, int y, int size) {
  const int thread = size / 64 > 0 ? size / 64 : 1;
  return (x / thread + y / thread) % 2 == 0 ? .008f : -.008f;
}

}  // namespace

void draw_painting(const Scene& scene, Canvas& canvas) {
  trace_shadow(scene, canvas, kSunWidth);
  trace_occlusion(scene, canvas);
  for (size_t i = 0; i < canvas.samples.size(); ++i)
    canvas.colours[i] = subject(scene, canvas.samples[i]) * (1.25f * kExposure);
  canvas.spare = canvas.colours;
  paint_strokes(scene, canvas, kBroad);
  paint_strokes(scene, canvas, kFine);
  canvas.colours.swap(canvas.spare);
  resolve(canvas);
  const int S = canvas.size;
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) {
      Vec3& pixel = canvas.pixels[y * S + x];
      // Paint is neither black nor white, and a little warm.
      const Vec3 paint = saturated(encoded(pixel), 1.12f) * .9f + Vec3{.06f, .05f, .035f};
      const float cloth = weave(x, y, S);
      pixel = paint + Vec3{cloth, cloth, cloth};
    }
}

}  // namespace srpo::micro
