// y = a - b and y = a * b, in float, one pass. In place is allowed.

#include "cpp/ops/elementwise/binary.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

struct Sub {
  static SRPO_DEVICE float of(float a, float b) { return a - b; }
};
struct Mul {
  static SRPO_DEVICE float of(float a, float b) { return a * b; }
};

template <typename F, typename T>
__global__ void binary_forward_kernel(T* y, const T* a, const T* b, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kPack<T>>(n, packed, [=]<int N>(int64_t i) {
    float u[N], v[N];
    load_pack(u, a + i);
    load_pack(v, b + i);
    for (int j = 0; j < N; ++j) u[j] = F::of(u[j], v[j]);
    store_pack(y + i, u);
  });
}

template <typename F>
void forward(const BinaryForward& op, Stream& stream) {
  visit_float(op.a.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.y.pointer) && packs<T>(op.a.pointer) && packs<T>(op.b.pointer);
    launch(binary_forward_kernel<F, T>, map_config<kPack<T>>(op.a.numel(), stream), op.y.data<T>(),
           op.a.data<T>(), op.b.data<T>(), op.a.numel(), packed);
  });
}

}  // namespace

void sub_forward(const BinaryForward& op, Stream& stream) {
  forward<Sub>(op, stream);
}

void mul_forward(const BinaryForward& op, Stream& stream) {
  forward<Mul>(op, stream);
}

}  // namespace srpo::cuda
