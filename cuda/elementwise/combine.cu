// out = cx[b] * x + cy[b] * y, or cx[b] * x, in float, one pass; any mix of the two dtypes. A grid row
// a sample, so that a pack never straddles two.

#include "cpp/ops/elementwise/combine.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

constexpr int kElements = 4;  // of a pack: 16 bytes of float, 8 of bfloat16

template <typename Out, typename X, typename Y>
__global__ void combine_forward_kernel(Out* out, const X* x, const Y* y, const float* cx,
                                       const float* cy, int64_t each, bool packed) {
  wait_for_earlier_kernel();
  const int64_t sample = blockIdx.y, start = sample * each;
  const float a = cx[sample], b = y == nullptr ? 0.f : cy[sample];
  map<kElements>(each, packed, [=]<int N>(int64_t i) {
    float u[N];
    load_pack(u, x + start + i);
    for (float& value : u) value *= a;
    if (y != nullptr) {
      float v[N];
      load_pack(v, y + start + i);
      for (int j = 0; j < N; ++j) u[j] += b * v[j];
    }
    store_pack(out + start + i, u);
  });
}

}  // namespace

void combine_forward(const CombineForward& op, Stream& stream) {
  const int64_t B = op.x.dim(0), each = op.x.numel() / B;
  const auto aligned = [&](const TensorView& t) { return packs<float>(t.pointer, each); };
  const bool packed = aligned(op.out) && aligned(op.x) && (!op.y || aligned(op.y));
  LaunchConfig config = map_config<kElements>(each, stream);
  config.grid.y = B;
  const float *cx = upload(stream, op.cx), *cy = op.y ? upload(stream, op.cy) : nullptr;
  visit_float(op.out.dtype, [&]<typename Out>() {
    visit_float(op.x.dtype, [&]<typename X>() {
      visit_float(op.y ? op.y.dtype : DType::kFloat32, [&]<typename Y>() {
        launch(combine_forward_kernel<Out, X, Y>, config, op.out.data<Out>(), op.x.data<X>(),
               op.y.data<Y>(), cx, cy, each, packed);
      });
    });
  });
}

}  // namespace srpo::cuda
