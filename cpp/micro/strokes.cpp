#include "cpp/micro/strokes.h"

#include <algorithm>

#include "cpp/micro/shade.h"

namespace srpo::micro {
namespace {

struct Stroke {
  float x, y, cosine, sine;  // middle and direction
  Vec3 colour;
  Kind kind;
  float bristles;  // where its bristles begin in the noise
};

/// Of the stroke at (x, y): round the object, flat on the ground, in swirls in the sky.
Vec3 heading(const Scene& scene, const Sample& sample, float x, float y, float scale) {
  const float swirl = scene.noise.plane(x * .035f / scale, y * .035f / scale, 3) - .5f;
  if (sample.kind == Kind::kObject) {
    const Vec3 n = sample.normal;
    const float across = dot(n, scene.camera.right), up = dot(n, scene.camera.up);
    // Along the contour: at right angles to the normal as the picture shows it.
    return normalized({up + .05f + .5f * swirl, across + .35f * swirl, 0.f});
  }
  const float slope = sample.kind == Kind::kGround ? 1.1f * swirl : 3.2f * swirl;
  return normalized({1.f, slope, 0.f});
}

const Sample& sample_at(const Canvas& canvas, float x, float y) {
  const int ix = std::clamp(floor_of(x), 0, canvas.width - 1);
  const int iy = std::clamp(floor_of(y), 0, canvas.width - 1);
  return canvas.samples[iy * canvas.width + ix];
}
Vec3 colour_at(const Canvas& canvas, float x, float y) {
  const int ix = std::clamp(floor_of(x), 0, canvas.width - 1);
  const int iy = std::clamp(floor_of(y), 0, canvas.width - 1);
  return canvas.colours[iy * canvas.width + ix];
}

/// The mean along the stroke of what is of its kind.
Vec3 colour_along(const Canvas& canvas, const Stroke& stroke, float half) {
  Vec3 sum;
  float count = 0.f;
  for (const float at : {-.7f, -.35f, 0.f, .35f, .7f}) {
    const float x = stroke.x + stroke.cosine * half * at, y = stroke.y + stroke.sine * half * at;
    if (sample_at(canvas, x, y).kind != stroke.kind) continue;
    sum = sum + colour_at(canvas, x, y);
    count += 1.f;
  }
  return count > 0.f ? sum * (1.f / count) : colour_at(canvas, stroke.x, stroke.y);
}

constexpr int kBristles = 12;  // across a brush

void lay(const Scene& scene, Canvas& canvas, const Stroke& s, float half, float half_width) {
  Vec3 paint[kBristles];
  for (int i = 0; i < kBristles; ++i)
    paint[i] = s.colour * (1.f + .22f * (scene.noise.plane(s.bristles + .37f * i, 0.f, 6) - .5f));
  const int W = canvas.width;
  const float reach_x = absolute(s.cosine) * half + absolute(s.sine) * half_width + 1.f;
  const float reach_y = absolute(s.sine) * half + absolute(s.cosine) * half_width + 1.f;
  const int x0 = std::max(floor_of(s.x - reach_x), 0),
            x1 = std::min(floor_of(s.x + reach_x), W - 1);
  const int y0 = std::max(floor_of(s.y - reach_y), 0),
            y1 = std::min(floor_of(s.y + reach_y), W - 1);
  for (int y = y0; y <= y1; ++y)
    for (int x = x0; x <= x1; ++x) {
      const float dx = static_cast<float>(x) + .5f - s.x, dy = static_cast<float>(y) + .5f - s.y;
      const float along = (dx * s.cosine + dy * s.sine) / half;
      const float across = (dy * s.cosine - dx * s.sine) / half_width;
      const float along2 = along * along;
      if (along2 * along2 + across * across > 1.f) continue;
      const int i = y * W + x;
      if (canvas.samples[i].kind != s.kind) continue;
      const int bristle = static_cast<int>((across + 1.f) * (.5f * (kBristles - .01f)));
      canvas.spare[i] = mix(canvas.spare[i], paint[bristle], .9f);
    }
}

}  // namespace

void paint_strokes(const Scene& scene, Canvas& canvas, const Brush& brush) {
  const float scale = canvas.scale(), spacing = brush.spacing * scale;
  const int side = floor_of(static_cast<float>(canvas.width) / spacing) + 1, count = side * side;
  // In an order that jumps about the picture, so that strokes overlap on all sides.
  const int jump = 7919 % count == 0 ? 1 : 7919;
  const int layer = static_cast<int>(brush.spacing * 10.f);
  for (int n = 0, at = 0; n < count; ++n, at = (at + jump) % count) {
    const auto random = [&](int k) { return scene.noise.cell(at, layer + 17 * k, k) - .5f; };
    Stroke stroke = {};
    stroke.x = (static_cast<float>(at % side) + .5f + .9f * random(0)) * spacing;
    stroke.y = (static_cast<float>(at / side) + .5f + .9f * random(1)) * spacing;
    const Sample& sample = sample_at(canvas, stroke.x, stroke.y);
    stroke.kind = sample.kind;
    const Vec3 along = heading(scene, sample, stroke.x, stroke.y, scale);
    stroke.cosine = along.x;
    stroke.sine = along.y;
    stroke.bristles = 64.f * (random(2) + .5f);
    const float half = .5f * brush.length * scale * (1.f + .5f * random(3));
    const Vec3 colour = colour_along(canvas, stroke, half);
    if (brush.difference > 0.f) {
      const int W = canvas.width;
      const int i =
          std::clamp(floor_of(stroke.y), 0, W - 1) * W + std::clamp(floor_of(stroke.x), 0, W - 1);
      const Vec3 off = colour - canvas.spare[i];
      if (dot(off, off) < brush.difference * brush.difference * (.002f + dot(colour, colour)))
        continue;
    }
    // Each stroke mixes its paint anew.
    const float value = 1.f + .50f * random(4), warm = .30f * random(5);
    stroke.colour = colour * Vec3{value * (1.f + warm), value, value * (1.f - warm)};
    lay(scene, canvas, stroke, half, .5f * brush.width * scale);
  }
}

}  // namespace srpo::micro
