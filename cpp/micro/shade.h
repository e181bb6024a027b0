#pragma once
#include "cpp/micro/canvas.h"
#include "cpp/micro/scene.h"

namespace srpo::micro {

constexpr float kExposure = .45f;  // of display white for one unit of light

inline Vec3 point_of(const Scene& scene, const Sample& sample) {
  return scene.camera.eye + sample.direction * sample.depth;
}

/// Sunlight where it arrives, sky from above, and what the ground throws back from below.
Vec3 diffuse(const Scene& scene, const Sample& sample, Vec3 albedo);

/// Ground colour that fades into the horizon with distance.
Vec3 hazy(const Vec3& colour, const Vec3& horizon, float depth);

/// The object's albedo with a fine rough texture of this strength at a point.
Vec3 rough_albedo(const Scene& scene, Vec3 point, float strength);
/// And its normal with dents.
Vec3 dented(const Scene& scene, Vec3 point, Vec3 normal, float strength);

/// Blinn's highlight, the cosine to the power 2^sharpness.
float highlight(const Scene& scene, const Sample& sample, Vec3 normal, int sharpness);

/// pixels = means of the four samples' colours.
void resolve(Canvas& canvas);

}  // namespace srpo::micro
