// What layer norm, RMS norm and modulated layer norm share: each row of D elements normalised by itself,
// then scaled and shifted by numbers a column.
//
//   y = g * xhat + shift,  xhat = (x - mean) * rstd,  g = plus + scale
//
//   x, y, dx, dy   [samples, rows, D]  T
//   scale, shift   [samples, D]        T      optional: 1 and 0
//   mean, rstd     [samples, rows]     float  mean where rows are centred; RMS norm's is 0
//
// Backward, with <.> the mean over D:
//   dx     = rstd * (g dy - <g dy> - xhat * <g dy * xhat>)      without the second term for RMS norm
//   dscale = sum over rows of dy * xhat
//   dshift = sum over rows of dy
//
// Every sum runs in float.
#pragma once
#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo::cuda {

struct NormRows {
  TensorView x;
  TensorView scale, shift;
  int64_t samples, rows, D;
  bool centred;  // its mean taken off a row
  float plus;    // added to scale
};

void norm_rows_forward(const NormRows& n, const TensorView& y, float* mean, float* rstd, float eps,
                       Stream& stream);

/// What the sums over rows become: parts [samples * count, 2, D] of dscale and of dshift.
struct NormParts {
  const float* parts = nullptr;
  int64_t count = 0;  // of a sample
};
/// dx is written if given; parts are made if asked for.
NormParts norm_rows_backward(const NormRows& n, const TensorView& dx, const TensorView& dy,
                             const float* mean, const float* rstd, bool wants_parts,
                             Stream& stream);

/// dscale and dshift [D], float, each may be null: += the sums of all parts.
void add_norm_parts(float* dscale, float* dshift, const NormParts& parts, const NormRows& n,
                    Stream& stream);
/// dscale and dshift [samples, D] = the sums of each sample's parts.
void store_norm_parts(const TensorView& dscale, const TensorView& dshift, const NormParts& parts,
                      const NormRows& n, Stream& stream);

}  // namespace srpo::cuda
