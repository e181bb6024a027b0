#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

void gemm_sm90_forward(Gemms g, const GemmPlan& plan, Stream& stream) {
  launch_gemm<Major::kK, Major::kK, Ending::kFinish>(g, plan, stream);
}

}  // namespace srpo::cuda
