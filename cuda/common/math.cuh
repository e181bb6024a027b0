// Functions of one float that both compilers lack under one name. expf, logf, tanhf, erff, sqrtf,
// sinf, cosf, fmaxf, fminf, fabsf and fmaf are at hand everywhere.
#pragma once
#include "cuda/common/target.cuh"

#ifndef __CUDACC__
inline float rsqrtf(float x) {
  return 1.f / std::sqrt(x);
}
#endif

namespace srpo::cuda {

/// The bits of a number as another type of its size.
template <typename To, typename From>
SRPO_DEVICE To bits_as(From from) {
  return __builtin_bit_cast(To, from);
}

SRPO_DEVICE float sigmoid(float x) {
  return 1.f / (1.f + expf(-x));
}

#ifdef __CUDACC__

SRPO_DEVICE float product(float a, float b) {
  return __fmul_rn(a, b);
}
SRPO_DEVICE double product(double a, double b) {
  return __dmul_rn(a, b);
}

/// In half turns: cos and sin of a double would take local memory to reduce huge arguments.
SRPO_DEVICE double cosine(double x) {
  return cospi(x * 0.3183098861837907);
}
SRPO_DEVICE double sine(double x) {
  return sinpi(x * 0.3183098861837907);
}

SRPO_DEVICE float approximate_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
SRPO_DEVICE float approximate_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
SRPO_DEVICE float approximate_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

#else

/// A product that no sum is fused with: for what must have the bits of the cpu column.
SRPO_DEVICE float product(float a, float b) {
  return a * b;
}
SRPO_DEVICE double product(double a, double b) {
  return a * b;
}

/// In double, for angles far above a turn.
SRPO_DEVICE double cosine(double x) {
  return std::cos(x);
}
SRPO_DEVICE double sine(double x) {
  return std::sin(x);
}

/// 2^x within 2 ulp, one instruction.
SRPO_DEVICE float approximate_exp2(float x) {
  return exp2f(x);
}
/// tanh x within 2^-11 relative, one instruction.
SRPO_DEVICE float approximate_tanh(float x) {
  return tanhf(x);
}
/// 1 / x within 1 ulp, one instruction.
SRPO_DEVICE float approximate_reciprocal(float x) {
  return 1.f / x;
}

#endif

/// The sigmoid in four instructions, within some ulp; 0 and 1 at the infinities.
SRPO_DEVICE float fast_sigmoid(float x) {
  return approximate_reciprocal(1.f + approximate_exp2(-1.442695041f * x));
}

}  // namespace srpo::cuda
