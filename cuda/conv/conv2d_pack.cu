// conv2d_pack.h: weights transposed and summed, pixels filled up with channels of zeros.

#include "cuda/conv/conv2d_pack.h"

#include "cuda/common/barrier.cuh"
#include "cuda/common/dtype.cuh"
#include "cuda/common/launch.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/elementwise/map.cuh"

namespace srpo::cuda {
namespace {

constexpr int kSquare = 32;  // of weights, transposed at once
constexpr int kSquareRows = 8;

template <typename T>
__global__ void conv2d_pack_kernel(T* packed, const ConvWeights w, const ConvTaps down,
                                   const ConvTaps across, int64_t width) {
  wait_for_earlier_kernel();
  struct Square {
    float at[kSquare][kSquare + 1];  // n, c
  };
  auto& square = shared_memory<Square>();
  const int64_t tap = blockIdx.z, taps = down.count * across.count;
  const int64_t top = down.slope * (down.first + tap / across.count) + down.start;
  const int64_t left = across.slope * (across.first + tap % across.count) + across.start;
  const int64_t first_c = int64_t{blockIdx.x} * kSquare, first_n = int64_t{blockIdx.y} * kSquare;
  const int fast = static_cast<int>(threadIdx.x), slow = static_cast<int>(threadIdx.y);
  const T* const from = static_cast<const T*>(w.data);
  for (int i = slow; i < kSquare; i += kSquareRows) {  // neighbours read along what is dense
    const int to_n = w.of_c == 1 ? i : fast, to_c = w.of_c == 1 ? fast : i;
    const int64_t n = first_n + to_n, c = first_c + to_c;
    float sum = 0.f;
    if (n < w.N && c < w.C)
      for (int64_t r = top; r < top + down.copies; ++r)
        for (int64_t s = left; s < left + across.copies; ++s)
          if (r >= 0 && r < down.kernel && s >= 0 && s < across.kernel)
            sum += float(from[n * w.of_n + (r * across.kernel + s) * w.of_place + c * w.of_c]);
    square.at[to_n][to_c] = sum;
  }
  block_barrier();
  for (int i = slow; i < kSquare; i += kSquareRows) {
    const int64_t n = first_n + i, c = first_c + fast;
    if (n < w.N && c < width) packed[(n * taps + tap) * width + c] = T(square.at[i][fast]);
  }
}

/// One pack of `packed` a thread.
__global__ void conv2d_pad_kernel(bfloat16* packed, const bfloat16* x, int64_t C, int64_t width,
                                  int64_t n) {
  wait_for_earlier_kernel();
  map<1>(n, false, [=]<int>(int64_t i) {
    constexpr int kN = kPack<bfloat16>;
    const int64_t first = i * kN % width, at = i * kN / width * C + first;
    Pack<bfloat16, kN> pack;
#pragma unroll
    for (int j = 0; j < kN; ++j) pack.value[j] = first + j < C ? x[at + j] : bfloat16(0.f);
    *reinterpret_cast<Pack<bfloat16, kN>*>(packed + i * kN) = pack;
  });
}

}  // namespace

const void* pack_weights(const ConvWeights& w, const ConvTaps& down, const ConvTaps& across,
                         int64_t width, DType dtype, Stream& stream) {
  const int64_t taps = down.count * across.count;
  const void* result = nullptr;
  visit_float(dtype, [&]<typename T>() {
    T* const packed = scratch<T>(stream, w.N * taps * width);
    launch(conv2d_pack_kernel<T>,
           {.grid = {ceil_div(width, kSquare), ceil_div(w.N, kSquare), taps},
            .block = {kSquare, kSquareRows},
            .shared = sizeof(float) * kSquare * (kSquare + 1),
            .stream = stream},
           packed, w, down, across, width);
    result = packed;
  });
  return result;
}

const void* pack_pixels(const void* x, int64_t pixels, int64_t C, Stream& stream) {
  if (packs<bfloat16>(x, C)) return x;
  const int64_t width = packed_channels(C), n = pixels * width / kPack<bfloat16>;
  bfloat16* const packed = scratch<bfloat16>(stream, pixels * width);
  launch(conv2d_pad_kernel, map_config<1>(n, stream), packed, static_cast<const bfloat16*>(x), C,
         width, n);
  return packed;
}

}  // namespace srpo::cuda
