// y = a + b and into += from, in float, one pass each. In place is allowed.

#include "cpp/ops/elementwise/add.h"

#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

/// As many as a 16-byte load takes of the wider one.
template <typename T, typename From>
constexpr int kEach = kPack<T> < kPack<From> ? kPack<T> : kPack<From>;

template <typename T, typename From>
__global__ void add_forward_kernel(T* y, const T* a, const From* b, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kEach<T, From>>(n, packed, [=]<int N>(int64_t i) {
    float u[N], v[N];
    load_pack(u, a + i);
    load_pack(v, b + i);
    for (int j = 0; j < N; ++j) u[j] += v[j];
    store_pack(y + i, u);
  });
}

}  // namespace

void add_forward(const AddForward& op, Stream& stream) {
  visit_float(op.y.dtype, [&]<typename T>() {
    const bool packed = packs<T>(op.y.pointer) && packs<T>(op.a.pointer) && packs<T>(op.b.pointer);
    launch(add_forward_kernel<T, T>, map_config<kPack<T>>(op.y.numel(), stream), op.y.data<T>(),
           op.a.data<T>(), op.b.data<T>(), op.y.numel(), packed);
  });
}

void accumulate(const Accumulate& op, Stream& stream) {
  visit_float(op.into.dtype, [&]<typename Into>() {
    visit_float(op.from.dtype, [&]<typename From>() {
      auto* into = op.into.data<Into>();
      const bool packed = packs<Into>(into) && packs<From>(op.from.pointer);
      launch(add_forward_kernel<Into, From>, map_config<kEach<Into, From>>(op.into.numel(), stream),
             into, into, op.from.data<From>(), op.into.numel(), packed);
    });
  });
}

}  // namespace srpo::cuda
