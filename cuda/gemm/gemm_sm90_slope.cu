#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

void gemm_sm90_slope(Gemms g, const GemmPlan& plan, Stream& stream) {
  launch_gemm<Major::kK, Major::kMN, Ending::kSlope>(g, plan, stream);
}

}  // namespace srpo::cuda
