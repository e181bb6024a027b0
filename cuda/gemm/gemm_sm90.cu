#include "cuda/gemm/gemm_sm90.h"

#include "cuda/common/dtype.cuh"
#include "cuda/common/multiprocessors.h"
#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {
namespace {

constexpr int64_t kLeastN = 64;
constexpr int64_t kLeastWork = 64 * 64 * 64;  // multiply-adds
constexpr int64_t kMost = int64_t{1} << 30;   // of each size: coordinates are 32 bits wide

bool moves(const GemmOperand& o, int64_t batch) {
  const int64_t stride = o.column_stride == 1 ? o.row_stride : o.column_stride;
  return (o.column_stride == 1 || o.row_stride == 1) && packs<bfloat16>(o.data, stride) &&
         (batch == 1 || packs<bfloat16>(o.data, o.batch_stride));
}

bool is_aligned(const void* pointer, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

bool moves(const GemmOutput& o, int64_t element_bytes, int64_t batch) {
  const bool strides = o.stride * element_bytes % 16 == 0 &&
                       (o.pre == nullptr || o.pre_stride * element_bytes % 16 == 0) &&
                       (batch == 1 || o.batch_stride * element_bytes % 16 == 0);
  return strides && is_aligned(o.out, 16) && is_aligned(o.pre, 16) && is_aligned(o.bias, 4) &&
         is_aligned(o.residual, 16) && is_aligned(o.derivative_of, 16) && is_aligned(o.gate, 4) &&
         is_aligned(o.before, 16);
}

/// How the operands lie says it: each way has one, that of the op's direction; dy w has two.
Ending ending_of(const Gemm& g) {
  if (g.output.accumulate) return g.output.squares != nullptr ? Ending::kSquares : Ending::kAdd;
  if (major_of(g.a.column_stride) == Major::kMN) return Ending::kJoin;
  if (major_of(g.b.row_stride) == Major::kK) return Ending::kFinish;
  return g.output.derivative_of != nullptr ? Ending::kSlope : Ending::kStore;
}

}  // namespace

bool takes_gemm_sm90(const Gemm& g) {
  const GemmOutput& o = g.output;
  if (g.dtype != DType::kBFloat16 || o.accumulate != (g.output_dtype == DType::kFloat32))
    return false;
  const Major a = major_of(g.a.column_stride), b = major_of(g.b.row_stride);
  if (a == Major::kMN && b == Major::kK) return false;
  if (o.accumulate && a == Major::kK) return false;
  if (o.squares != nullptr && g.batch > 1) return false;
  const bool slopes = o.derivative_of != nullptr;
  if (slopes && ending_of(g) != Ending::kSlope) return false;
  if (o.before != nullptr && (!slopes || o.before_columns % kWide != 0)) return false;
  const bool finishes = o.bias != nullptr || o.pre != nullptr || o.gate != nullptr ||
                        (o.activation != ActivationKind::kNone && !slopes);
  if (finishes && b == Major::kMN) return false;
  if (o.residual != nullptr && ending_of(g) == Ending::kStore) return false;
  if (g.N < kLeastN || g.M * g.N * g.K < kLeastWork) return false;
  if (g.M > kMost || g.N > kMost || g.K > kMost || g.batch > kMost) return false;
  return moves(g.a, g.batch) && moves(g.b, g.batch) &&
         moves(o, static_cast<int64_t>(size_of(g.output_dtype)), g.batch);
}

bool go_together(const Gemm& a, const Gemm& b) {
  const auto both = [](const void* x, const void* y) { return (x == nullptr) == (y == nullptr); };
  const GemmOutput &to = a.output, &other = b.output;
  return a.batch == 1 && b.batch == 1 && a.N == b.N && to.stride == other.stride &&
         a.output_dtype == b.output_dtype &&
         major_of(a.a.column_stride) == major_of(b.a.column_stride) &&
         major_of(a.b.row_stride) == major_of(b.b.row_stride) &&
         to.accumulate == other.accumulate && to.activation == other.activation &&
         both(to.squares, other.squares) && both(to.bias, other.bias) && both(to.pre, other.pre) &&
         both(to.gate, other.gate) && both(to.residual, other.residual) &&
         both(to.derivative_of, other.derivative_of) && to.before == nullptr &&
         other.before == nullptr;
}

GemmSizes sizes_of(Gemms gemms) {
  const Ending ending = ending_of(gemms[0]);
  const int width = ending == Ending::kFinish  ? GemmTilePingPong<Ending::kFinish>::kN
                    : ending == Ending::kJoin  ? GemmTilePingPong<Ending::kJoin>::kN
                    : ending == Ending::kSlope ? GemmTilePingPong<Ending::kSlope>::kN
                                               : GemmTilePingPong<Ending::kStore>::kN;
  GemmSizes sizes = {.of = {}, .N = gemms[0].N, .batch = gemms[0].batch, .ping_pong_width = width};
  for (size_t i = 0; i < gemms.size(); ++i) sizes.of[i] = {gemms[i].M, gemms[i].K};
  return sizes;
}

void gemm_sm90(Gemms g, const GemmPlan& plan, Stream& stream) {
  switch (ending_of(g[0])) {
    case Ending::kAdd:
      return gemm_sm90_weight(g, plan, stream);
    case Ending::kSquares:
      return gemm_sm90_squares(g, plan, stream);
    case Ending::kJoin:
      return gemm_sm90_transposed(g, plan, stream);
    case Ending::kStore:
      return gemm_sm90_input(g, plan, stream);
    case Ending::kSlope:
      return gemm_sm90_slope(g, plan, stream);
    case Ending::kFinish:
      return gemm_sm90_forward(g, plan, stream);
    case Ending::kHeads:  // gemm_sm90_heads
      break;
  }
}

void gemm_sm90(Gemms g, Stream& stream) {
  gemm_sm90(g, plan_gemm(sizes_of(g), multiprocessors(stream)), stream);
}

}  // namespace srpo::cuda
