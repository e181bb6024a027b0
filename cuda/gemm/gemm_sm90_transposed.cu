#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

void gemm_sm90_transposed(Gemms g, const GemmPlan& plan, Stream& stream) {
  launch_gemm<Major::kMN, Major::kMN, Ending::kJoin>(g, plan, stream);
}

}  // namespace srpo::cuda
