// A float32 master in two halves: the weight it rounds to, and the 16 bits that rebuild it.

#include "cpp/ops/update/master.h"

#include "cuda/update/numbers.cuh"

namespace srpo::cuda {
namespace {

/// to = from, each a form of the weights.
template <typename To, typename From>
__global__ void master_kernel(To to, From from, int64_t n, bool packed) {
  wait_for_earlier_kernel();
  map<kPack<float>>(n, packed, [=]<int N>(int64_t i) {
    float w[N];
    from.load(w, i);
    to.store(i, w);
  });
}

template <typename To, typename From>
void convert(const To& to, const From& from, int64_t n, Stream& stream) {
  launch(master_kernel<To, From>, map_config<kPack<float>>(n, stream), to, from, n,
         to.template packed<kPack<float>>() && from.template packed<kPack<float>>());
}

}  // namespace

void split_master(const SplitMaster& op, Stream& stream) {
  convert(SplitWeights{op.weights.data<uint16_t>(), op.remainder.data<uint16_t>()},
          FullWeights{op.master.data<float>()}, op.master.numel(), stream);
}

void join_master(const JoinMaster& op, Stream& stream) {
  convert(FullWeights{op.master.data<float>()},
          SplitWeights{op.weights.data<uint16_t>(), op.remainder.data<uint16_t>()},
          op.weights.numel(), stream);
}

}  // namespace srpo::cuda
