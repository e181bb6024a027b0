// Signed distances of the five shapes, in the object's own frame: it stands on y = 0, turned back.
// Lower bounds of the true distance, exact but for the cone, so that a march never steps through.
#pragma once
#include "cpp/micro/scene.h"

namespace srpo::micro {

constexpr float kCubeSide = .78f, kCubeRounding = .04f;      // half side, of the radius
constexpr float kConeHeight = 2.f, kConeFoot = .95f;         // of the radius
constexpr float kCylinderHalf = .92f, kCylinderFoot = .68f;  // half height, of the radius
constexpr float kRingRadius = .74f, kRingTube = .26f;        // of the radius

template <Shape S>
float distance(Vec3 p, float r) {
  if constexpr (S == Shape::kBall) {
    return length(p - Vec3{0.f, r, 0.f}) - r;
  } else if constexpr (S == Shape::kCube) {
    const float half = kCubeSide * r, rounding = kCubeRounding * r, core = half - rounding;
    const Vec3 q = {absolute(p.x) - core, absolute(p.y - half) - core, absolute(p.z) - core};
    const Vec3 outside = {larger(q.x, 0.f), larger(q.y, 0.f), larger(q.z, 0.f)};
    return length(outside) + smaller(larger(q.x, larger(q.y, q.z)), 0.f) - rounding;
  } else if constexpr (S == Shape::kCone) {
    constexpr float kSlant = 2.2142f;  // sqrt(kConeHeight^2 + kConeFoot^2)
    const float across = std::sqrt(p.x * p.x + p.z * p.z);
    const float side = (across * kConeHeight + (p.y - kConeHeight * r) * kConeFoot) / kSlant;
    return larger(side, -p.y);
  } else if constexpr (S == Shape::kCylinder) {
    const float half = kCylinderHalf * r;
    const float a = std::sqrt(p.x * p.x + p.z * p.z) - kCylinderFoot * r;
    const float b = absolute(p.y - half) - half;
    const float out_a = larger(a, 0.f), out_b = larger(b, 0.f);
    return smaller(larger(a, b), 0.f) + std::sqrt(out_a * out_a + out_b * out_b);
  } else {
    const float y = p.y - r;
    const float q = std::sqrt(p.x * p.x + y * y) - kRingRadius * r;
    return std::sqrt(q * q + p.z * p.z) - kRingTube * r;
  }
}

/// Of a ball about (0, r, 0) that holds the shape, of the radius.
template <Shape S>
constexpr float kBound = S == Shape::kCube       ? 1.49f
                         : S == Shape::kCone     ? 1.40f
                         : S == Shape::kCylinder ? 1.22f
                                                 : 1.01f;

/// Calls f.template operator()<S>() with the shape as a constant.
template <typename F>
void visit_shape(Shape shape, const F& f) {
  switch (shape) {
    case Shape::kBall:
      return f.template operator()<Shape::kBall>();
    case Shape::kCube:
      return f.template operator()<Shape::kCube>();
    case Shape::kCone:
      return f.template operator()<Shape::kCone>();
    case Shape::kCylinder:
      return f.template operator()<Shape::kCylinder>();
    case Shape::kRing:
      return f.template operator()<Shape::kRing>();
  }
}

/// From the world to the object's frame: a direction, and a point.
inline Vec3 turned(const Scene& s, Vec3 d) {
  return {s.cosine * d.x + s.sine * d.z, d.y, -s.sine * d.x + s.cosine * d.z};
}
inline Vec3 local(const Scene& s, Vec3 p) {
  return turned(s, p - s.place);
}
/// And a direction back.
inline Vec3 turned_back(const Scene& s, Vec3 d) {
  return {s.cosine * d.x - s.sine * d.z, d.y, s.sine * d.x + s.cosine * d.z};
}

}  // namespace srpo::micro
