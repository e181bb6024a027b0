#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

void gemm_sm90_input(Gemms g, const GemmPlan& plan, Stream& stream) {
  launch_gemm<Major::kK, Major::kMN, Ending::kStore>(g, plan, stream);
}

}  // namespace srpo::cuda
