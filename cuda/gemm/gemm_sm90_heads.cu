#include "cuda/common/multiprocessors.h"
#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

GemmSizes sizes_of_heads(Gemms g) {
  GemmSizes sizes = sizes_of(g);
  sizes.ping_pong_width = GemmTilePingPong<Ending::kHeads>::kN;
  return sizes;
}

void gemm_sm90_heads(Gemms g, std::span<const GemmHeads> heads, const GemmPlan& plan,
                     Stream& stream) {
  launch_gemm<Major::kK, Major::kK, Ending::kHeads>(g, plan, stream, heads);
}

void gemm_sm90_heads(Gemms g, std::span<const GemmHeads> heads, Stream& stream) {
  gemm_sm90_heads(g, heads, plan_gemm(sizes_of_heads(g), multiprocessors(stream)), stream);
}

}  // namespace srpo::cuda
