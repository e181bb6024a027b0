#include "cuda/gemm/gemm_launch.cuh"

namespace srpo::cuda {

void gemm_sm90_squares(Gemms g, const GemmPlan& plan, Stream& stream) {
  launch_gemm<Major::kMN, Major::kMN, Ending::kSquares>(g, plan, stream);
}

}  // namespace srpo::cuda
