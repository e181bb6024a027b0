#include "cpp/ops/quantize/quantize_rows.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {
namespace {

void require_codes(const char* op, const TensorView& codes, const TensorView& scales) {
  require_rank(op, "codes", codes, 2, "[R, C]");
  require_not_empty(op, "codes", codes);
  require_dtype(op, "codes", codes, DType::kUInt8);
  require_shape(op, "scales", scales, {codes.dim(0)});
  require_dtype(op, "scales", scales, DType::kFloat32);
  require_same_device(op, "scales", scales, codes);
}

}  // namespace

void quantize_rows(const QuantizeRows& op, Stream& stream) {
  constexpr auto kOp = "quantizeRows";
  require_codes(kOp, op.codes, op.scales);
  require_same_shape(kOp, "x", op.x, op.codes);
  require_float(kOp, "x", op.x);
  require_same_device(kOp, "x", op.x, op.codes);
  dispatch(kOp, &OpTable::quantize_rows, op, stream);
}

void dequantize_rows(const DequantizeRows& op, Stream& stream) {
  constexpr auto kOp = "dequantizeRows";
  require_codes(kOp, op.codes, op.scales);
  require_float(kOp, "y", op.y);
  dispatch(kOp, &OpTable::dequantize_rows, op, stream);
}

}  // namespace srpo
