// The copy engine: boxes in and out, every swizzle, outside of the tensor on each side, additions,
// several blocks at once.
#include <cstring>

#include "cuda/common/barrier.cuh"
#include "cuda/common/cluster.cuh"
#include "cuda/common/shared.cuh"
#include "cuda/common/tma.cuh"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

constexpr int kBox = 8192;  // bytes that a box may have here

template <int kRank>
__global__ void load_kernel(unsigned char* out, const __grid_constant__ TensorMap map,
                            Coordinates<kRank> at, int bytes) {
  wait_for_earlier_kernel();
  auto& full = *shared_array<Mbarrier>(kBox);
  if (thread_rank() == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, bytes);
    tma_load(shared_base(), map, full, at);
  }
  block_barrier();
  mbarrier_wait(full, 0);
  for (int i = thread_rank(); i < bytes; i += block_threads()) out[i] = shared_base()[i];
}

/// Where byte i of a box lies: 16-byte pieces exclusive-ored by the number of their 128-byte row.
int place(int i, Swizzle swizzle) {
  const int bits = static_cast<int>(swizzle);
  return i ^ ((i >> 7 & ((1 << bits) - 1)) << 4);
}

template <int kRank>
void loads(Stream& stream, std::initializer_list<int64_t> sizes, std::initializer_list<int> box,
           Coordinates<kRank> at, Swizzle swizzle) {
  int64_t numel = 1, strides[5], elements = 1;
  std::vector<int64_t> between;
  for (int d = 0; d < kRank; ++d) {
    strides[d] = numel;
    numel *= sizes.begin()[d];
    if (d + 1 < kRank) between.push_back(numel);
  }
  for (const int side : box) elements *= side;
  Buffer<bfloat16> data(numel);
  fill(data, 5);
  const int bytes = static_cast<int>(elements) * 2;
  Buffer<unsigned char> out(bytes);
  // tensor_map takes a list; its length is known here only.
  const auto map = [&] {
    if constexpr (kRank == 2)
      return tensor_map(data.get(), DType::kBFloat16, sizes, {between[0]}, box, swizzle);
    else if constexpr (kRank == 3)
      return tensor_map(data.get(), DType::kBFloat16, sizes, {between[0], between[1]}, box,
                        swizzle);
    else
      return tensor_map(data.get(), DType::kBFloat16, sizes, {between[0], between[1], between[2]},
                        box, swizzle);
  }();
  launch(load_kernel<kRank>, {.grid = 1, .block = 64, .shared = kBox + 8, .stream = stream},
         out.get(), map, at, bytes);
  finish(stream);
  for (int64_t i = 0; i < elements; ++i) {
    int64_t rest = i, from = 0;
    bool inside = true;
    for (int d = 0; d < kRank; ++d) {
      const int64_t where = at.at[d] + rest % box.begin()[d];
      rest /= box.begin()[d];
      inside = inside && where >= 0 && where < sizes.begin()[d];
      from += where * strides[d];
    }
    uint16_t got;
    std::memcpy(&got, out.get() + place(static_cast<int>(i) * 2, swizzle), 2);
    expect(got == (inside ? data[from].bits : 0), "element " + std::to_string(i) + " is wrong");
  }
}

// out[box] = value of each place in the box, clipped; then the same added twice.
template <typename T, bool kAdds>
__global__ void store_kernel(const __grid_constant__ TensorMap map, Coordinates<2> at, int n) {
  wait_for_earlier_kernel();
  auto* tile = shared_array<T>();
  for (int i = thread_rank(); i < n; i += block_threads()) tile[i] = T(static_cast<float>(i));
  fence_async();
  block_barrier();
  if (thread_rank() == 0) {
    if (kAdds) {
      tma_add(map, tile, at);
      tma_add(map, tile, at);
    } else {
      tma_store(map, tile, at);
    }
    bulk_commit();
    bulk_wait<0>();
  }
}

template <typename T, bool kAdds>
void stores(Stream& stream) {
  constexpr int rows = 11, columns = 24, height = 8, width = 16;
  constexpr DType dtype = sizeof(T) == 4 ? DType::kFloat32 : DType::kBFloat16;
  Buffer<T> out(rows * columns, T(1.f));
  const Coordinates<2> at = {{columns - 10, rows - 5}};
  launch(store_kernel<T, kAdds>, {.grid = 1, .block = 64, .shared = 1024, .stream = stream},
         tensor_map(out.get(), dtype, {columns, rows}, {columns}, {width, height}, Swizzle::kNone),
         at, height * width);
  finish(stream);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      const int y = r - at.at[1], x = c - at.at[0];
      const float value = static_cast<float>(y * width + x);
      const float want = y < 0 || x < 0 ? 1.f : kAdds ? 1.f + 2.f * value : value;
      expect(std::fabs(float(out[r * columns + c]) - want) <= 0.01f * want,
             "row " + std::to_string(r) + ", column " + std::to_string(c) + " is wrong");
    }
}

// Every other pixel of a picture in, and out to every other pixel of another: [5, 6, 40] and [4, 5, 40].
constexpr int kPixelBox = 64 * 3 * 3 * 2;

__global__ void pixels_kernel(const __grid_constant__ TensorMap in,
                              const __grid_constant__ TensorMap out) {
  wait_for_earlier_kernel();
  auto& full = *shared_array<Mbarrier>(kBox);
  if (thread_rank() != 0) return;
  mbarrier_init(full, 1);
  mbarrier_init_fence();
  mbarrier_arrive_expect(full, kPixelBox);
  tma_load(shared_base(), in, full, Coordinates{0, -1, 0, 0});
  mbarrier_wait(full, 0);
  tma_store(out, shared_base(), Coordinates{0, 0, -1, 0});
  bulk_commit();
  bulk_wait<0>();
}

void pixels(Stream& stream) {
  constexpr int C = 40, rows = 4, columns = 5;
  Buffer<bfloat16> in(5 * 6 * C), out(rows * columns * C, bfloat16(7.f));
  fill(in, 12);
  const auto map = [](bfloat16* data, int64_t down, int64_t across, int64_t width, int64_t height) {
    return tensor_map(data, DType::kBFloat16, {C, across, down, 1},
                      {2 * C, 2 * width * C, height * width * C}, {64, 3, 3, 1}, Swizzle::k128);
  };
  // Odd rows and even columns of in; even rows and odd columns of out.
  launch(pixels_kernel, {.grid = 1, .block = 32, .shared = kBox + 8, .stream = stream},
         map(in.get() + 6 * C, 2, 3, 6, 5), map(out.get() + C, 2, 2, columns, rows));
  finish(stream);
  for (int i = 0; i < rows * columns * C; ++i) {
    const int c = i % C, column = i / C % columns, row = i / (C * columns);
    const int x = column / 2, y = row / 2 + 1;  // in the box
    float want = 7.f;
    if (row % 2 == 0 && column % 2 == 1)  // the box's column 0 lies outside of in, as does row 2
      want = x < 1 || y > 1 ? 0.f : float(in[((2 * y + 1) * 6 + 2 * (x - 1)) * C + c]);
    expect(float(out[i]) == want, "element " + std::to_string(i) + " is wrong");
  }
}

template <bool kAdds>
__global__ void bulk_kernel(float* out, const float* in, int bytes) {
  wait_for_earlier_kernel();
  auto* line = shared_array<float>();
  auto& full = *shared_array<Mbarrier>(kBox);
  if (thread_rank() == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, bytes);
    bulk_load(line, in, bytes, full);
    mbarrier_wait(full, 0);
    if constexpr (kAdds)
      bulk_add(out, line, bytes);
    else
      bulk_store(out, line, bytes);
    bulk_commit();
    bulk_wait<0>();
  }
}

template <bool kAdds>
void bulk(Stream& stream) {
  constexpr int n = 300;
  Buffer<float> in(n), out(n, 1.f);
  for (int i = 0; i < n; ++i) in[i] = number(6, i);
  launch(bulk_kernel<kAdds>, {.grid = 1, .block = 32, .shared = kBox + 8, .stream = stream},
         out.get(), in.get(), n * 4);
  finish(stream);
  for (int i = 0; i < n; ++i)
    expect(out[i] == (kAdds ? 1.f : 0.f) + in[i], "element " + std::to_string(i));
}

// Each of two blocks loads half of a tile into both.
__global__ void multicast_kernel(bfloat16* out, const __grid_constant__ TensorMap map) {
  wait_for_earlier_kernel();
  auto* tile = shared_array<bfloat16>();  // [16][64]
  auto& full = *shared_array<Mbarrier>(kBox);
  const int rank = cluster_rank();
  if (thread_rank() == 0) {
    mbarrier_init(full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(full, 2048);
  }
  cluster_barrier();
  if (thread_rank() == 0) tma_load_all(tile + rank * 512, map, full, Coordinates{0, 8 * rank}, 3);
  mbarrier_wait(full, 0);
  for (int i = thread_rank(); i < 1024; i += block_threads()) out[rank * 1024 + i] = tile[i];
  cluster_barrier();
}

void multicast(Stream& stream) {
  Buffer<bfloat16> in(1024), out(2048);
  fill(in, 7);
  launch(multicast_kernel,
         {.grid = 2, .block = 32, .shared = kBox + 8, .cluster = 2, .stream = stream}, out.get(),
         tensor_map(in.get(), DType::kBFloat16, {64, 16}, {64}, {64, 8}, Swizzle::kNone));
  finish(stream);
  for (int i = 0; i < 2048; ++i)
    expect(out[i].bits == in[i % 1024].bits, "element " + std::to_string(i) + " is wrong");
}

}  // namespace

void add_copies(std::vector<Case>& cases) {
  const auto two = [&](const char* name, std::initializer_list<int> box, Coordinates<2> at,
                       Swizzle swizzle) {
    const std::vector<int> sides(box);
    cases.push_back({std::string("tma load, ") + name, [=](Stream& stream) {
                       loads<2>(stream, {72, 40}, {sides[0], sides[1]}, at, swizzle);
                     }});
  };
  two("inside", {64, 16}, {{8, 3}}, Swizzle::k128);
  two("past the right and the end", {64, 32}, {{40, 20}}, Swizzle::k128);
  two("before the left and the start", {64, 16}, {{-5, -3}}, Swizzle::k128);
  two("64-byte swizzle", {32, 16}, {{50, 30}}, Swizzle::k64);
  two("32-byte swizzle", {16, 16}, {{3, 5}}, Swizzle::k32);
  two("no swizzle", {72, 9}, {{1, 1}}, Swizzle::kNone);
  cases.push_back({"tma load, 3-D", [](Stream& stream) {
                     loads<3>(stream, {64, 7, 5}, {64, 4, 3}, Coordinates{0, -1, 3}, Swizzle::k128);
                   }});
  cases.push_back({"tma load, 4-D", [](Stream& stream) {
                     loads<4>(stream, {32, 6, 5, 2}, {32, 4, 4, 1}, Coordinates{0, -1, 2, 1},
                              Swizzle::k64);
                   }});
  cases.push_back(
      {"tma load, a box of pixels and more channels than there are", [](Stream& stream) {
         loads<4>(stream, {40, 6, 5, 2}, {64, 7, 3, 1}, Coordinates{0, -1, -2, 1}, Swizzle::k128);
       }});
  cases.push_back({"tma load and store, every other pixel", pixels});
  cases.push_back({"tma store", stores<float, false>});
  cases.push_back({"tma add, float32", stores<float, true>});
  cases.push_back({"tma add, bfloat16", stores<bfloat16, true>});
  cases.push_back({"bulk load and add", bulk<true>});
  cases.push_back({"bulk load and store", bulk<false>});
  cases.push_back({"multicast", multicast});
}

}  // namespace srpo::cuda::test
