// Sphere tracing: from a point at distance d of the object a ray may go on by d. Rays are turned
// into the object's frame once, and only those that meet its bounding ball march at all.

#include "cpp/micro/trace.h"

#include "cpp/micro/solid.h"

namespace srpo::micro {
namespace {

constexpr int kMostSteps = 64;
constexpr float kTouch = 1.5e-3f;

/// Where a line enters and leaves the ball about `centre`; begin > end if it does not.
struct Span {
  float begin, end;
};
Span crossing(Vec3 origin, Vec3 direction, Vec3 centre, float radius) {
  const Vec3 to = centre - origin;
  const float middle = dot(to, direction);
  const float rest = radius * radius - (dot(to, to) - middle * middle);
  if (rest <= 0.f) return {1.f, 0.f};
  const float half = std::sqrt(rest);
  return {middle - half, middle + half};
}

/// The distance at which the ray (object frame) meets the object; negative if it does not.
template <Shape S>
float march(Vec3 origin, Vec3 direction, float r, float begin) {
  const Span span = crossing(origin, direction, {0.f, r, 0.f}, kBound<S> * r);
  float t = larger(span.begin, begin);
  for (int i = 0; i < kMostSteps && t < span.end; ++i) {
    const float d = distance<S>(origin + direction * t, r);
    if (d < kTouch) return t;
    t += d;
  }
  return -1.f;
}

/// The gradient of the distance, from four corners of a tetrahedron.
template <Shape S>
Vec3 normal_at(Vec3 p, float r) {
  constexpr float e = 2e-3f;
  constexpr Vec3 corners[] = {{e, -e, -e}, {-e, -e, e}, {-e, e, -e}, {e, e, e}};
  Vec3 sum;
  for (const Vec3 corner : corners) sum = sum + corner * distance<S>(p + corner, r);
  return normalized(sum);
}

/// The share of a round sun that the object leaves free, from the narrowest cone along the way.
template <Shape S>
float free_light(Vec3 origin, Vec3 direction, float r, float sun_width) {
  const Vec3 to = Vec3{0.f, r, 0.f} - origin;
  const float middle = dot(to, direction), bound = kBound<S> * r;
  if (middle < -bound) return 1.f;
  const float reach = bound + sun_width * larger(middle + bound, 0.f);
  if (dot(to, to) - middle * middle > reach * reach) return 1.f;
  const float end = middle + reach;
  float narrowest = 1.f, t = .02f;
  for (int i = 0; i < kMostSteps && t < end; ++i) {
    const float d = distance<S>(origin + direction * t, r);
    if (d < kTouch && sun_width == 0.f) return 0.f;
    if (sun_width > 0.f) {
      narrowest = smaller(narrowest, d / (sun_width * t));
      if (narrowest <= -1.f) return 0.f;
    }
    t += larger(d, .015f);
  }
  return smoothstep(-1.f, 1.f, narrowest);
}

/// How much closer things are than the open sky would be, at three heights above the point.
template <Shape S>
float openness(Vec3 p, Vec3 normal, float r, bool on_object) {
  float closed = 0.f, weight = .62f;
  for (const float share : {.12f, .3f, .6f}) {
    const float height = share * r;
    const Vec3 above = p + normal * height;
    float d = distance<S>(above, r);
    if (on_object) d = smaller(d, larger(above.y, 0.f));
    closed += weight * clamp(1.f - d / height);
    weight *= .75f;
  }
  return clamp(1.f - .8f * closed, .12f, 1.f);
}

Vec3 point_of(const Scene& scene, const Sample& sample) {
  return scene.camera.eye + sample.direction * sample.depth;
}

}  // namespace

void trace(const Scene& scene, Canvas& canvas) {
  const Camera& camera = scene.camera;
  const Vec3 eye = local(scene, camera.eye);
  const float step = 2.f / static_cast<float>(canvas.width);
  visit_shape(scene.shape, [&]<Shape S>() {
    Sample* sample = canvas.samples.data();
    for (int y = 0; y < canvas.width; ++y)
      for (int x = 0; x < canvas.width; ++x, ++sample) {
        // The four samples of a pixel stand on a turned grid, so that upright edges get four steps.
        const float u = (static_cast<float>(x) + (y % 2 ? .75f : .25f)) * step - 1.f;
        const float v = 1.f - (static_cast<float>(y) + (x % 2 ? .25f : .75f)) * step;
        const Vec3 ray = camera.ray(u, v);
        *sample = {.direction = ray, .depth = kFar, .normal = {}};
        const Vec3 inner = turned(scene, ray);
        const float t = march<S>(eye, inner, scene.radius, 0.f);
        if (t >= 0.f) {
          sample->kind = Kind::kObject;
          sample->depth = t;
          sample->normal = turned_back(scene, normal_at<S>(eye + inner * t, scene.radius));
        } else if (ray.y < 0.f && -camera.eye.y > kFar * ray.y) {
          sample->kind = Kind::kGround;
          sample->depth = -camera.eye.y / ray.y;
          sample->normal = {0.f, 1.f, 0.f};
        }
      }
  });
}

void trace_shadow(const Scene& scene, Canvas& canvas, float sun_width) {
  const Vec3 light = turned(scene, scene.lights.direction);
  visit_shape(scene.shape, [&]<Shape S>() {
    for (Sample& sample : canvas.samples) {
      if (sample.kind == Kind::kSky) continue;
      if (dot(sample.normal, scene.lights.direction) <= 0.f) {
        sample.light = 0.f;
        continue;
      }
      const Vec3 origin = local(scene, point_of(scene, sample) + sample.normal * .012f);
      sample.light = free_light<S>(origin, light, scene.radius, sun_width);
    }
  });
}

void trace_occlusion(const Scene& scene, Canvas& canvas) {
  const float reach = 2.1f * scene.radius;
  visit_shape(scene.shape, [&]<Shape S>() {
    for (Sample& sample : canvas.samples) {
      if (sample.kind == Kind::kSky) continue;
      const Vec3 point = local(scene, point_of(scene, sample));
      const bool on_object = sample.kind == Kind::kObject;
      if (!on_object && point.x * point.x + point.z * point.z > reach * reach) continue;
      sample.open = openness<S>(point, turned(scene, sample.normal), scene.radius, on_object);
    }
  });
}

void trace_mirror(const Scene& scene, Canvas& canvas) {
  visit_shape(scene.shape, [&]<Shape S>() {
    for (Sample& sample : canvas.samples) {
      if (sample.kind != Kind::kGround) continue;
      const Vec3 d = sample.direction;
      const Vec3 up = turned(scene, {d.x, -d.y, d.z});
      const Vec3 origin = local(scene, point_of(scene, sample));
      sample.mirror = march<S>(origin, up, scene.radius, 0.f) >= 0.f ? 1.f : 0.f;
    }
  });
}

}  // namespace srpo::micro
