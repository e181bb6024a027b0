// The launch of the Hopper product, for one way in which the operands lie: gemm_sm90_*.cu instantiate it.
#pragma once
#include <span>

#include "cuda/common/launch.cuh"
#include "cuda/gemm/gemm_kernel.cuh"
#include "cuda/gemm/gemm_plan.h"

namespace srpo::cuda {

/// Along K, or along M or N where that is the dense direction.
SRPO_HOST_DEVICE inline Major major_of(int64_t stride_along_k) {
  return stride_along_k == 1 ? Major::kK : Major::kMN;
}

/// An operand of M or N lines, in boxes as the ring has them.
inline TensorMap operand_map(const Gemm& g, const GemmOperand& o, Major major, int64_t lines,
                             int64_t stride, int box) {
  const int64_t batch_stride = g.batch == 1 ? stride : o.batch_stride;
  return major == Major::kK ? tensor_map(o.data, g.dtype, {g.K, lines, g.batch},
                                         {stride, batch_stride}, {kStep, box, 1}, Swizzle::k128)
                            : tensor_map(o.data, g.dtype, {lines, g.K, g.batch},
                                         {stride, batch_stride}, {64, box, 1}, Swizzle::k128);
}

template <typename Tile, Major kA, Major kB, Ending kEnding>
GemmProduct parameters_of(const Gemm& g) {
  GemmProduct p = {.output = g.output,
                   .heads = {},
                   .M = static_cast<int>(g.M),
                   .rows_of_sample = static_cast<int>(g.output.rows_of_sample)};
  p.a = operand_map(g, g.a, kA, g.M, kA == Major::kK ? g.a.row_stride : g.a.column_stride,
                    kBoxA<Tile, kA>);
  p.b = operand_map(g, g.b, kB, g.N, kB == Major::kK ? g.b.column_stride : g.b.row_stride,
                    kBoxB<Tile, kB>);
  const int64_t columns = g.N - g.output.before_columns;
  const auto result = [&](const void* data, int64_t columns, int64_t stride) {
    return tensor_map(data, g.output_dtype, {columns, g.M, g.batch},
                      {stride, g.batch == 1 ? stride : g.output.batch_stride}, {kWide, 64, 1},
                      GemmOutlet<Tile, kEnding>::kFloat ? Swizzle::k128 : Swizzle::k64);
  };
  if constexpr (kEnding != Ending::kHeads) {
    const void* const joined =
        kEnding == Ending::kSlope ? g.output.derivative_of : g.output.residual;
    p.out = result(g.output.out, columns, g.output.stride);
    p.pre = g.output.pre == nullptr ? p.out : result(g.output.pre, columns, g.output.pre_stride);
    if (g.output.before != nullptr)
      p.pre = result(g.output.before, g.output.before_columns, g.output.before_columns);
    p.residual = joined == nullptr ? p.out : result(joined, columns, g.output.stride);
  }
  return p;
}

template <typename Tile, Major kA, Major kB, Ending kEnding>
void launch_gemm(Gemms gemms, const GemmSchedule& schedule, Stream& stream,
                 std::span<const GemmHeads> heads) {
  GemmParameters p;
  p.N = static_cast<int>(gemms[0].N);
  p.schedule = schedule;
  for (size_t i = 0; i < kMostProducts; ++i) {
    const size_t own = i < gemms.size() ? i : 0;  // maps that may be prefetched, all of them
    p.products[i] = parameters_of<Tile, kA, kB, kEnding>(gemms[own]);
    if (kEnding == Ending::kHeads) p.products[i].heads = heads[own];
  }
  if (schedule.split_tiles() > 0) {
    const int parts = schedule.groups * Tile::kCluster;
    if (parts * Tile::kHolders > kMostParts)
      throw Error("ERR_KERNEL", "gemm: expected at most " + std::to_string(kMostParts) +
                                    " parts, got " + std::to_string(parts * Tile::kHolders));
    p.workspace = scratch<float>(stream, int64_t{parts} * Tile::kPartial);
  }
  launch(gemm_sm90_kernel<Tile, kA, kB, kEnding>,
         {.grid = schedule.groups * Tile::kCluster,
          .block = kGemmThreads,
          .shared = sizeof(GemmShared<Tile>),
          .cluster = Tile::kCluster,
          .stream = stream},
         p);
}

template <Major kA, Major kB, Ending kEnding>
void launch_gemm(Gemms g, const GemmPlan& plan, Stream& stream,
                 std::span<const GemmHeads> heads = {}) {
  switch (plan.tile) {
    case GemmTileKind::k128x256:
      return launch_gemm<GemmTile128x256, kA, kB, kEnding>(g, plan.schedule, stream, heads);
    case GemmTileKind::kPingPong:
      return launch_gemm<GemmTilePingPong<kEnding>, kA, kB, kEnding>(g, plan.schedule, stream,
                                                                     heads);
    case GemmTileKind::k128x128:
      return launch_gemm<GemmTile128x128, kA, kB, kEnding>(g, plan.schedule, stream, heads);
    case GemmTileKind::k64x128:
      return launch_gemm<GemmTile64x128, kA, kB, kEnding>(g, plan.schedule, stream, heads);
  }
}

// By how the operands lie, and what becomes of the sums; one a source file. One product, or two that go
// together (gemm_sm90.h).
void gemm_sm90_forward(Gemms g, const GemmPlan& plan, Stream& stream);     // x w^T, finished
void gemm_sm90_input(Gemms g, const GemmPlan& plan, Stream& stream);       // dy w
void gemm_sm90_slope(Gemms g, const GemmPlan& plan, Stream& stream);       // dy w, slopes
void gemm_sm90_weight(Gemms g, const GemmPlan& plan, Stream& stream);      // += dy^T x
void gemm_sm90_squares(Gemms g, const GemmPlan& plan, Stream& stream);     // the same, squares
void gemm_sm90_transposed(Gemms g, const GemmPlan& plan, Stream& stream);  // a^T b

}  // namespace srpo::cuda
