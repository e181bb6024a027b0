// y[i] = table[ids[i]]; dtable[ids[i]] += dy[i], in float and in the order of i, which leaves nothing
// to the order of threads: the block of an id's first place adds up all of its places.

#include "cpp/ops/embedding/embedding.h"

#include "cuda/common/block_reduce.cuh"
#include "cuda/common/complaint.cuh"
#include "cuda/layout/copy_pieces.cuh"

namespace srpo::cuda {
namespace {

constexpr int kChannels = 128;  // of a block

/// `row` is in units.
template <typename U>
__global__ void embedding_forward_kernel(U* y, const U* table, const int32_t* ids, int64_t row,
                                         int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) { y[i] = table[ids[i / row] * row + i % row]; });
}

/// A block is a place i and 128 channels. An id outside [0, V) is told, and writes nothing.
template <typename T>
__global__ void embedding_backward_kernel(float* dtable, int64_t* complaint, const T* dy,
                                          const int32_t* ids, int64_t count, int64_t V, int64_t D) {
  wait_for_earlier_kernel();
  const int64_t place = blockIdx.x, d = int64_t{blockIdx.y} * kChannels + threadIdx.x;
  const int32_t id = ids[place];
  if (id < 0 || id >= V) {
    if (threadIdx.x == 0) *complaint = place << 32 | static_cast<uint32_t>(id);
    return;
  }
  float earlier = 0.f;
  for (int64_t j = threadIdx.x; j < place; j += kChannels)
    if (ids[j] == id) earlier = 1.f;
  if (block_max(earlier) > 0.f || d >= D) return;
  float sum = dtable[id * D + d];
  for (int64_t j = place; j < count; ++j)
    if (ids[j] == id) sum += float(dy[j * D + d]);
  dtable[id * D + d] = sum;
}

}  // namespace

void embedding_forward(const EmbeddingForward& op, Stream& stream) {
  const int64_t bytes = op.table.bytes() / op.table.dim(0);
  visit_unit({op.y.pointer, op.table.pointer}, {bytes}, [&]<typename U>() {
    const int64_t unit = sizeof(U), n = op.y.bytes() / unit;
    launch(embedding_forward_kernel<U>, map_config<1>(n, stream), op.y.data<U>(),
           op.table.data<U>(), op.ids.data<int32_t>(), bytes / unit, n);
  });
}

void embedding_backward(const EmbeddingBackward& op, Stream& stream) {
  const auto [V, D] = op.dtable.sizes<2>();
  int64_t* word = complaint(stream);
  visit_float(op.dy.dtype, [&, V = V, D = D]<typename T>() {
    launch(embedding_backward_kernel<T>,
           {.grid = {op.ids.numel(), ceil_div(D, kChannels)}, .block = kChannels, .stream = stream},
           op.dtable.data<float>(), word, op.dy.data<T>(), op.ids.data<int32_t>(), op.ids.numel(),
           V, D);
  });
  heed(stream, word, [V = V](int64_t it) {
    throw Error("ERR_RANGE", "embedding backward: ids: expected 0 to " + std::to_string(V - 1) +
                                 ", got " + std::to_string(static_cast<int32_t>(it)) + " at " +
                                 std::to_string(it >> 32));
  });
}

}  // namespace srpo::cuda
