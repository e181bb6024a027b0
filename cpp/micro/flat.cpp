// Flat: drawn with ink and three pots of paint a colour.

#include "cpp/micro/ground.h"
#include "cpp/micro/shade.h"
#include "cpp/micro/sky.h"
#include "cpp/micro/styles.h"
#include "cpp/micro/trace.h"

namespace srpo::micro {
namespace {

// White paper's colour by day, dusk and night.
constexpr Vec3 kPaper[] = {{1.f, 1.f, 1.f}, {.92f, .60f, .44f}, {.17f, .22f, .40f}};
constexpr Vec3 kInk = {.004f, .003f, .006f};
constexpr float kTones[] = {1.f, .55f, .25f};
constexpr float kFold = .5f;  // cosine of two normals below which a line is drawn

Vec3 painted(const Scene& scene, const Sample& sample) {
  if (sample.kind == Kind::kSky) return banded_sky(scene, sample.direction) * (kExposure * 1.5f);
  const Vec3 paper = kPaper[static_cast<int>(scene.daytime)];
  if (sample.kind == Kind::kGround) {
    const Vec3 p = point_of(scene, sample);
    return plain_ground(scene, p.x, p.z, .35f) * paper * (sample.light > .5f ? kTones[0] : .42f);
  }
  const float facing = dot(sample.normal, scene.lights.direction) * sample.light;
  const int tone = facing > .5f ? 0 : facing > .12f ? 1 : 2;
  return scene.albedo * paper * kTones[tone];
}

/// Whether a line runs between two neighbouring samples.
bool parted(const Sample& a, const Sample& b) {
  const bool object = a.kind == Kind::kObject;
  if (object != (b.kind == Kind::kObject)) return true;
  return object && dot(a.normal, b.normal) < kFold;
}

/// Lines about two samples wide a side, at 64 pixels.
void ink(Canvas& canvas) {
  const int W = canvas.width;
  const int reach = static_cast<int>(canvas.scale() + .5f);
  const auto line = [&](int x, int y) {
    for (int j = y - reach + 1; j <= y + reach; ++j)
      for (int i = x - reach + 1; i <= x + reach; ++i)
        if (i >= 0 && j >= 0 && i < W && j < W) canvas.colours[j * W + i] = kInk;
  };
  for (int y = 0; y + 1 < W; ++y)
    for (int x = 0; x + 1 < W; ++x) {
      const Sample* at = canvas.samples.data() + y * W + x;
      if (parted(at[0], at[1]) || parted(at[0], at[W])) line(x, y);
    }
}

}  // namespace

void draw_flat(const Scene& scene, Canvas& canvas) {
  trace_shadow(scene, canvas, 0.f);
  for (size_t i = 0; i < canvas.samples.size(); ++i)
    canvas.colours[i] = painted(scene, canvas.samples[i]);
  ink(canvas);
  resolve(canvas);
  for (Vec3& pixel : canvas.pixels) pixel = encoded(pixel);
}

}  // namespace srpo::micro
