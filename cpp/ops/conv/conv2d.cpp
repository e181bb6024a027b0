#include "cpp/ops/conv/conv2d.h"

#include "cpp/core/check.h"
#include "cpp/ops/norm/group_norm.h"
#include "cpp/ops/op_table.h"

namespace srpo {

void conv2d_check(const char* kOp, const TensorView& x, const TensorView& w,
                  const Conv2dGeometry& g) {
  require_rank(kOp, "x", x, 4, "[B, H, W, Cin]");
  require_float(kOp, "x", x);
  require_not_empty(kOp, "x", x);
  require_rank(kOp, "w", w, 4, "[Cout, kh, kw, Cin]");
  require_not_empty(kOp, "w", w);
  require_shape(kOp, "w", w, {-1, -1, -1, x.dim(3)});
  require_like(kOp, "w", w, x);
  // Far above any model, and far from where sums of sizes overflow.
  constexpr int64_t kMost = int64_t{1} << 30;
  require_range(kOp, "stride", g.stride >= 1 && g.stride <= kMost, "1 to 2^30",
                std::to_string(g.stride));
  const int64_t sides[] = {g.top, g.right, g.bottom, g.left};
  for (const int64_t side : sides)
    require_range(kOp, "padding", side >= 0 && side <= kMost, "four sizes of 0 to 2^30",
                  shape_text(sides, 4));
  for (int i = 0; i < 4; ++i)
    if (x.dim(i) > kMost || w.dim(i) > kMost)
      refuse("ERR_SHAPE", kOp, x.dim(i) > kMost ? "x" : "w", "sizes up to 2^30",
             shape_text(x.dim(i) > kMost ? x : w));
  if (g.rows(x.dim(1), w.dim(1)) < 1 || g.columns(x.dim(2), w.dim(2)) < 1)
    refuse("ERR_SHAPE", kOp, "w", "a kernel that fits the padded x " + shape_text(x),
           shape_text(w));
}

void conv2d_forward(const Conv2dForward& op, Stream& stream) {
  constexpr auto kOp = "conv2d";
  conv2d_check(kOp, op.x, op.w, op.geometry);
  if (op.bias) {
    require_shape(kOp, "b", op.bias, {op.w.dim(0)});
    require_like(kOp, "b", op.bias, op.x);
  }
  if (op.residual) {
    require_same_shape(kOp, "residual", op.residual, op.y);
    require_like(kOp, "residual", op.residual, op.x);
  }
  if (op.statistics) {
    require_float32(kOp, "statistics", op.statistics, {op.x.dim(0), -1, 2}, op.x);
    group_norm_check(kOp, op.y, op.statistics.dim(1));
  }
  dispatch(kOp, &OpTable::conv2d_forward, op, stream);
}

void conv2d_backward(const Conv2dBackward& op, Stream& stream) {
  constexpr auto kOp = "conv2d backward";
  const Conv2dGeometry& g = op.geometry;
  conv2d_check(kOp, op.x, op.w, g);
  require_shape(kOp, "dy", op.dy,
                {op.x.dim(0), g.rows(op.x.dim(1), op.w.dim(1)), g.columns(op.x.dim(2), op.w.dim(2)),
                 op.w.dim(0)});
  require_like(kOp, "dy", op.dy, op.x);
  if (op.dw) {
    require_same_shape(kOp, "dw", op.dw, op.w);
    require_dtype(kOp, "dw", op.dw, DType::kFloat32);
    require_same_device(kOp, "dw", op.dw, op.x);
  }
  if (op.dbias) {
    require_shape(kOp, "db", op.dbias, {op.w.dim(0)});
    require_dtype(kOp, "db", op.dbias, DType::kFloat32);
    require_same_device(kOp, "db", op.dbias, op.x);
  }
  dispatch(kOp, &OpTable::conv2d_backward, op, stream);
}

}  // namespace srpo
