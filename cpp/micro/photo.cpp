// Photo: what a lens and a sensor make of the scene.

#include <algorithm>

#include "cpp/cpu/isa.h"
#include "cpp/micro/ground.h"
#include "cpp/micro/shade.h"
#include "cpp/micro/sky.h"
#include "cpp/micro/styles.h"
#include "cpp/micro/trace.h"

namespace srpo::micro {
namespace {

constexpr float kSunWidth = .16f;     // soft: a thin cloud's sun, not the bare disc's .005
constexpr float kAperture = 12.f;     // blur in pixels of 64 a unit of 1 / distance
constexpr float kLargestBlur = 2.3f;  // pixels of 64
constexpr float kVignette = .42f;     // light lost in the corners
constexpr float kMuted = .84f;        // saturation kept
constexpr float kGrain = .02f;        // standard deviation, display values

Vec3 shaded(const Scene& scene, const Sample& sample) {
  if (sample.kind == Kind::kSky) return cloudy_sky(scene, sample.direction);
  const Vec3 p = point_of(scene, sample);
  if (sample.kind == Kind::kGround) {
    const Vec3 colour = diffuse(scene, sample, textured_ground(scene, p.x, p.z, sample.depth));
    return hazy(colour, clear_sky(scene, {0.f, .02f, 1.f}), sample.depth);
  }
  Sample rough = sample;
  rough.normal = dented(scene, p, sample.normal, .24f);
  const float sheen = .16f * highlight(scene, rough, rough.normal, 4);
  return diffuse(scene, rough, rough_albedo(scene, p, 1.f)) + scene.lights.key * sheen;
}

/// Samples of the object and of what lies behind it, kept apart: blur never mixes them.
struct Layers {
  Vec3 object, behind;
  float behind_share = 0.f, blur = 0.f;
};

/// Blur grows with the difference of 1 / depth to the object's, as a thin lens has it.
void focus(const Scene& scene, Canvas& canvas) {
  const int S = canvas.size, W = canvas.width;
  static thread_local std::vector<Layers> layers;
  layers.resize(canvas.pixels.size());
  const float pixels = static_cast<float>(S) / 64.f;
  const float sharp = 1.f / length(scene.centre() - scene.camera.eye);
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) {
      Layers& layer = layers[y * S + x] = {};
      float nearness = 0.f;
      for (const int at : {0, 1, W, W + 1}) {
        const int i = 2 * y * W + 2 * x + at;
        const bool object = canvas.samples[i].kind == Kind::kObject;
        (object ? layer.object : layer.behind) =
            (object ? layer.object : layer.behind) + canvas.colours[i] * .25f;
        if (object) continue;
        layer.behind_share += .25f;
        nearness += .25f / canvas.samples[i].depth;
      }
      if (layer.behind_share == 0.f) continue;
      const float off = absolute(nearness / layer.behind_share - sharp);
      layer.blur = clamp(kAperture * off - .2f, 0.f, kLargestBlur) * pixels;
    }
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) {
      const Layers& layer = layers[y * S + x];
      Vec3& out = canvas.pixels[y * S + x];
      out = layer.object + layer.behind;
      if (layer.behind_share == 0.f || layer.blur < .3f) continue;
      const int reach = static_cast<int>(layer.blur + .5f);
      Vec3 sum;
      float weights = 0.f;
      for (int j = std::max(-reach, -y); j <= std::min(reach, S - 1 - y); ++j)
        for (int i = std::max(-reach, -x); i <= std::min(reach, S - 1 - x); ++i) {
          const float d2 = static_cast<float>(i * i + j * j);
          const float edge = layer.blur + .5f;
          if (d2 > edge * edge) continue;
          const Layers& other = layers[(y + j) * S + x + i];
          const float weight = clamp(edge - std::sqrt(d2));
          sum = sum + other.behind * weight;
          weights += other.behind_share * weight;
        }
      out = layer.object + sum * (layer.behind_share / weights);
    }
}

/// A toe that deepens shadows and a shoulder that saves highlights; 1.6 units of light are white.
float filmic(float x) {
  constexpr float kWhite = 1.6f;
  x = larger(x, 0.f);
  const float shoulder = x * (1.f + x / (kWhite * kWhite)) / (1.f + x) * 1.25f;
  return shoulder * (x + .004f) / (x + .016f);
}

void develop(const Scene& scene, Canvas& canvas) {
  const auto& random =
      cpu::best_of(cpu::random_fill_generic, cpu::random_fill_avx2, cpu::random_fill_avx512);
  const int S = canvas.size;
  uint32_t draw = kGrainDraws;
  for (int y = 0; y < S; ++y) {
    float normals[64];
    for (int x = 0; x < S; ++x) {
      if (x % 16 == 0) {
        random.normal(normals, scene.key, draw);
        draw += 16;
      }
      const float u = (static_cast<float>(x) + .5f) / static_cast<float>(S) - .5f;
      const float v = (static_cast<float>(y) + .5f) / static_cast<float>(S) - .5f;
      Vec3& pixel = canvas.pixels[y * S + x];
      const Vec3 light = pixel * (kExposure * 1.35f * (1.f - 2.f * kVignette * (u * u + v * v)));
      const Vec3 colour =
          saturated(encoded({filmic(light.x), filmic(light.y), filmic(light.z)}), kMuted);
      // Three parts of the variance in luminance, one in colour.
      const float* n = normals + x % 16 * 4;
      const Vec3 grain = Vec3{n[0], n[0], n[0]} * .866f + Vec3{n[1], n[2], n[3]} * .5f;
      pixel = colour + grain * kGrain;
    }
  }
}

}  // namespace

void draw_photo(const Scene& scene, Canvas& canvas) {
  trace_shadow(scene, canvas, kSunWidth);
  trace_occlusion(scene, canvas);
  for (size_t i = 0; i < canvas.samples.size(); ++i)
    canvas.colours[i] = shaded(scene, canvas.samples[i]);
  focus(scene, canvas);
  develop(scene, canvas);
}

}  // namespace srpo::micro
