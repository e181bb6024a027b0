// The copy engine: boxes of tensors to and from shared memory.
#include <cstring>

#include "cuda/emulation/async_state.h"

namespace srpo::emulation {
namespace {

constexpr unsigned kPoison = 0xff;
constexpr unsigned kLongest = 24;  // steps of the scheduler that a copy may take
constexpr unsigned kSlowest =
    1024;  // and one in four: long enough for all warps to go on meanwhile

int64_t elements_of(const TensorMap& map) {
  int64_t n = 1;
  for (int i = 0; i < map.rank; ++i) n *= map.box[i];
  return n;
}

/// Calls f(offset in the box in bytes, address in global memory or null outside) for each element.
template <typename F>
void for_each_element(const TensorMap& map, const int* at, const F& f) {
  const auto size = static_cast<int64_t>(size_of(map.dtype));
  const int64_t count = elements_of(map);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, offset = 0;
    bool inside = true;
    for (int d = 0; d < map.rank; ++d) {
      const int64_t place = at[d] + rest % map.box[d];
      rest /= map.box[d];
      inside = inside && place >= 0 && place < map.sizes[d];
      offset += place * map.strides[d];
    }
    f(static_cast<unsigned>(i * size), inside ? map.data + offset * size : nullptr);
  }
}

struct Load {
  Block* block;
  TensorMap map;
  int at[5];
  unsigned to, full;
  int64_t bytes;
};

void complete_load(void* context) {
  Load* load = static_cast<Load*>(context);
  const size_t size = size_of(load->map.dtype);
  unsigned char* shared = load->block->shared;
  if (shared != nullptr) {
    for_each_element(load->map, load->at, [&](unsigned offset, const char* from) {
      unsigned char* to = shared + swizzled(load->to + offset, load->map.swizzle);
      if (from == nullptr)
        std::memset(to, 0, size);
      else
        std::memcpy(to, from, size);
    });
    mbarrier_complete(*load->block, load->full, load->bytes);
  }
  delete load;
}

void check_place(const TensorMap& map, unsigned offset, int rank, const char* what) {
  if (map.rank != rank)
    fail(std::string(what) + ": expected " + std::to_string(map.rank) + " coordinates, got " +
         std::to_string(rank));
  if (offset % 128 != 0)
    fail(std::string(what) + ": expected shared memory aligned to 128 bytes, got offset " +
         std::to_string(offset));
}

void perform(const BulkStore& store) {
  const size_t size = size_of(store.map.dtype);
  const unsigned char* shared = store.from - store.offset;
  for_each_element(store.map, store.at, [&](unsigned offset, char* to) {
    if (to == nullptr) return;
    const unsigned char* from = shared + swizzled(store.offset + offset, store.map.swizzle);
    if (!store.adds) {
      std::memcpy(to, from, size);
    } else if (store.map.dtype == DType::kFloat32) {
      float sum, add;
      std::memcpy(&sum, to, 4);
      std::memcpy(&add, from, 4);
      sum += add;
      std::memcpy(to, &sum, 4);
    } else {
      bfloat16 sum, add;
      std::memcpy(&sum, to, 2);
      std::memcpy(&add, from, 2);
      sum = bfloat16(float(sum) + float(add));
      std::memcpy(to, &sum, 2);
    }
  });
}

/// `bytes` neighbouring bytes as a tensor of one dimension.
TensorMap line(void* data, int bytes, DType dtype) {
  TensorMap map = {};
  map.data = static_cast<char*>(data);
  map.rank = 1;
  map.dtype = dtype;
  map.sizes[0] = bytes / static_cast<int>(size_of(dtype));
  map.strides[0] = 1;
  map.box[0] = static_cast<int>(map.sizes[0]);
  return map;
}

void store_line(const TensorMap& map, const void* shared, int bytes, bool adds, const char* what) {
  if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(map.data) % 16 != 0)
    fail(std::string(what) + ": expected whole, aligned 16 bytes");
  const unsigned offset = shared_offset(shared, static_cast<size_t>(bytes), what);
  async_work().stores.all.back().push_back(
      {map, {}, static_cast<const unsigned char*>(shared), offset, adds});
}

void load(Block& block, const TensorMap& map, const int* at, unsigned to, unsigned full) {
  auto* work = new Load{&block, map, {}, to, full, 0};
  work->bytes = elements_of(map) * static_cast<int64_t>(size_of(map.dtype));
  for (int i = 0; i < map.rank; ++i) work->at[i] = at[i];
  std::memset(block.shared + to, kPoison, static_cast<size_t>(work->bytes));
  later(1 + draw(draw(4) == 0 ? kSlowest : kLongest), complete_load, work);
}

}  // namespace

void tma_load(void* shared, const TensorMap& map, void* full, int rank, const int* at,
              unsigned blocks) {
  const auto bytes = static_cast<size_t>(elements_of(map)) * size_of(map.dtype);
  const unsigned to = shared_offset(shared, bytes, "tma_load");
  const unsigned barrier = shared_offset(full, 8, "tma_load");
  check_place(map, to, rank, "tma_load");
  if (blocks == 0) {
    load(*current->block, map, at, to, barrier);
    return;
  }
  const auto& all = current->block->cluster->blocks;
  for (unsigned i = 0; i < all.size(); ++i)
    if (blocks >> i & 1) load(*all[i], map, at, to, barrier);
}

void bulk_load(void* shared, const void* global, int bytes, void* full) {
  if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0)
    fail("bulk_load: expected whole, aligned 16 bytes");
  const unsigned to = shared_offset(shared, static_cast<size_t>(bytes), "bulk_load");
  const int start[1] = {0};
  load(*current->block, line(const_cast<void*>(global), bytes, DType::kUInt8), start, to,
       shared_offset(full, 8, "bulk_load"));
}

void tma_store(const TensorMap& map, const void* shared, int rank, const int* at, bool adds) {
  const auto bytes = static_cast<size_t>(elements_of(map)) * size_of(map.dtype);
  const unsigned offset = shared_offset(shared, bytes, "tma_store");
  check_place(map, offset, rank, "tma_store");
  BulkStore store = {map, {}, static_cast<const unsigned char*>(shared), offset, adds};
  for (int i = 0; i < rank; ++i) store.at[i] = at[i];
  async_work().stores.all.back().push_back(store);
}

void bulk_store(void* global, const void* shared, int bytes) {
  store_line(line(global, bytes, DType::kFloat32), shared, bytes, false, "bulk_store");
}

void bulk_add(float* global, const float* shared, int bytes) {
  store_line(line(global, bytes, DType::kFloat32), shared, bytes, true, "bulk_add");
}

void bulk_commit() {
  async_work().stores.commit();
}

void bulk_wait(int groups) {
  auto& stores = async_work().stores;
  const size_t due = stores.due(groups);
  for (size_t group = 0; group < due; ++group)
    for (const BulkStore& store : stores.all[group]) perform(store);
  stores.drop(due);
}

}  // namespace srpo::emulation
