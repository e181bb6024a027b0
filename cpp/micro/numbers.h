// The little mathematics of drawing, without the C library's: only + - * / and square roots, which
// IEEE rounds alike everywhere, so that a picture has the same bytes on every x86-64 machine.
#pragma once
#include <cmath>

namespace srpo::micro {

struct Vec3 {
  float x = 0.f, y = 0.f, z = 0.f;
};

constexpr Vec3 operator+(Vec3 a, Vec3 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
constexpr Vec3 operator-(Vec3 a, Vec3 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
constexpr Vec3 operator*(Vec3 a, Vec3 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}
constexpr Vec3 operator*(Vec3 a, float s) {
  return {a.x * s, a.y * s, a.z * s};
}
constexpr float dot(Vec3 a, Vec3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
constexpr Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline float length(Vec3 a) {
  return std::sqrt(dot(a, a));
}
inline Vec3 normalized(Vec3 a) {
  return a * (1.f / (length(a) + 1e-12f));
}

constexpr float clamp(float x, float low = 0.f, float high = 1.f) {
  return x < low ? low : x > high ? high : x;
}
constexpr float smaller(float a, float b) {
  return b < a ? b : a;
}
constexpr float larger(float a, float b) {
  return a < b ? b : a;
}
constexpr float absolute(float x) {
  return x < 0.f ? -x : x;
}
constexpr float mix(float a, float b, float t) {
  return a + (b - a) * t;
}
constexpr Vec3 mix(Vec3 a, Vec3 b, float t) {
  return a + (b - a) * t;
}
/// 0 below `low`, 1 above `high`, 3 t^2 - 2 t^3 between.
constexpr float smoothstep(float low, float high, float x) {
  const float t = clamp((x - low) / (high - low));
  return t * t * (3.f - 2.f * t);
}
constexpr int floor_of(float x) {
  const int i = static_cast<int>(x);
  return i - (x < static_cast<float>(i));
}
/// A wave of period 1 from -1 to 1, two parabolas that look like a sine.
constexpr float wave(float x) {
  const float t = 2.f * (x - static_cast<float>(floor_of(x)));
  return t < 1.f ? 4.f * t * (1.f - t) : -4.f * (t - 1.f) * (2.f - t);
}
/// x^(2^n)
constexpr float squared(float x, int n) {
  for (int i = 0; i < n; ++i) x *= x;
  return x;
}

/// Rec. 709 luminance.
constexpr float luminance(Vec3 c) {
  return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z;
}
constexpr Vec3 saturated(Vec3 c, float by) {
  const float grey = luminance(c);
  return Vec3{grey, grey, grey} + (c - Vec3{grey, grey, grey}) * by;
}
constexpr Vec3 clamped(Vec3 c, float high = 1.f) {
  return {clamp(c.x, 0.f, high), clamp(c.y, 0.f, high), clamp(c.z, 0.f, high)};
}

/// Light to display: x^(7/16) = x^(1/4 + 1/8 + 1/16), a gamma of 2.29, by square roots alone.
inline float encoded(float x) {
  const float fourth = std::sqrt(std::sqrt(clamp(x)));
  const float eighth = std::sqrt(fourth);
  return fourth * eighth * std::sqrt(eighth);
}
inline Vec3 encoded(Vec3 c) {
  return {encoded(c.x), encoded(c.y), encoded(c.z)};
}

}  // namespace srpo::micro
