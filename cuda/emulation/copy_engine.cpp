// The copy engine: boxes of tensors to and from shared memory.
#include <algorithm>
#include <cstring>

#include "cuda/emulation/async_state.h"

namespace srpo::emulation {
namespace {

constexpr unsigned kPoison = 0xff;
constexpr unsigned kLongest = 24;    // steps of the scheduler that a copy may take
constexpr unsigned kSlowest = 1024;  // one in four: long enough for all warps to go on meanwhile

int64_t elements_of(const TensorMap& map) {
  int64_t n = 1;
  for (int i = 0; i < map.rank; ++i) n *= map.box[i];
  return n;
}

constexpr int64_t kPiece = 16;  // bytes that no swizzle parts

/// Calls f(offset in the box, address in global memory, first byte, end) for each 16-byte piece of the box:
/// the bytes [first, end) of it lie inside of the tensor.
template <typename F>
void for_each_piece(const TensorMap& map, const int* at, const F& f) {
  const auto size = static_cast<int64_t>(size_of(map.dtype));
  const int64_t width = map.box[0] * size, rows = elements_of(map) / map.box[0];
  const int64_t begin = -at[0] * size, end = (map.sizes[0] - at[0]) * size;  // of the tensor
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, offset = at[0];
    bool inside = true;
    for (int d = 1; d < map.rank; ++d) {
      const int64_t place = at[d] + rest % map.box[d];
      rest /= map.box[d];
      inside = inside && place >= 0 && place < map.sizes[d];
      offset += place * map.strides[d];
    }
    for (int64_t x = 0; x < width; x += kPiece) {
      const int64_t first = std::clamp<int64_t>(begin - x, 0, kPiece);
      const int64_t last = std::clamp<int64_t>(end - x, first, kPiece);
      f(static_cast<unsigned>(row * width + x), map.data + offset * size + x, first,
        inside ? last : first);
    }
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
  unsigned char* shared = load->block->shared;
  if (shared != nullptr) {
    for_each_piece(load->map, load->at,
                   [&](unsigned offset, const char* from, int64_t first, int64_t end) {
                     unsigned char* to = shared + swizzled(load->to + offset, load->map.swizzle);
                     if (end - first < kPiece) std::memset(to, 0, kPiece);
                     if (end > first)
                       std::memcpy(to + first, from + first, static_cast<size_t>(end - first));
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

template <typename T>
void add(char* to, const unsigned char* from) {
  T sum, more;
  std::memcpy(&sum, to, sizeof(T));
  std::memcpy(&more, from, sizeof(T));
  sum = T(float(sum) + float(more));
  std::memcpy(to, &sum, sizeof(T));
}

/// Reads the box in shared memory.
void take(BulkStore& store) {
  const unsigned char* shared = store.from - store.offset;
  store.bytes.resize(static_cast<size_t>(elements_of(store.map)) * size_of(store.map.dtype));
  for (unsigned at = 0; at < store.bytes.size(); at += kPiece)
    std::memcpy(&store.bytes[at], shared + swizzled(store.offset + at, store.map.swizzle), kPiece);
}

/// Brings it to global memory.
void perform(const BulkStore& store) {
  for_each_piece(store.map, store.at, [&](unsigned offset, char* to, int64_t first, int64_t end) {
    const unsigned char* from = &store.bytes[offset];
    if (end <= first) return;
    if (!store.adds)
      std::memcpy(to + first, from + first, static_cast<size_t>(end - first));
    else if (store.map.dtype == DType::kFloat32)
      for (int64_t i = first; i < end; i += 4) add<float>(to + i, from + i);
    else
      for (int64_t i = first; i < end; i += 2) add<bfloat16>(to + i, from + i);
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
  touch_global(what);
  if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(map.data) % 16 != 0)
    fail(std::string(what) + ": expected whole, aligned 16 bytes");
  const unsigned offset = shared_offset(shared, static_cast<size_t>(bytes), what);
  async_work().stores.all.back().push_back(
      {map, {}, static_cast<const unsigned char*>(shared), offset, adds, {}});
}

void load(Block& block, const TensorMap& map, const int* at, unsigned to, unsigned full) {
  auto* work = new Load{&block, map, {}, to, full, 0};
  work->bytes = elements_of(map) * static_cast<int64_t>(size_of(map.dtype));
  for (int i = 0; i < map.rank; ++i) work->at[i] = at[i];
  std::memset(block.shared + to, kPoison, static_cast<size_t>(work->bytes));
  // One in eight, and all that some barriers count, come when nothing else goes on: who does not wait for them
  // gets ahead of them, however long he computes before.
  const bool last = always_late(full) || draw(8) == 0;
  later(last ? kAtLast : 1 + draw(draw(4) == 0 ? kSlowest : kLongest), complete_load, work);
}

}  // namespace

void tma_load(void* shared, const TensorMap& map, void* full, int rank, const int* at,
              unsigned blocks) {
  touch_global("tma_load");
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
  touch_global("bulk_load");
  if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0)
    fail("bulk_load: expected whole, aligned 16 bytes");
  const unsigned to = shared_offset(shared, static_cast<size_t>(bytes), "bulk_load");
  const int start[1] = {0};
  load(*current->block, line(const_cast<void*>(global), bytes, DType::kUInt8), start, to,
       shared_offset(full, 8, "bulk_load"));
}

void tma_store(const TensorMap& map, const void* shared, int rank, const int* at, bool adds) {
  touch_global("tma_store");
  const auto bytes = static_cast<size_t>(elements_of(map)) * size_of(map.dtype);
  const unsigned offset = shared_offset(shared, bytes, "tma_store");
  check_place(map, offset, rank, "tma_store");
  BulkStore store = {map, {}, static_cast<const unsigned char*>(shared), offset, adds, {}};
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

void bulk_wait_read(int groups) {
  auto& stores = async_work().stores;
  const size_t due = stores.due(groups);
  for (size_t group = 0; group < due; ++group)
    for (BulkStore& store : stores.all[group])
      if (store.bytes.empty()) take(store);
}

void bulk_wait(int groups) {
  bulk_wait_read(groups);
  auto& stores = async_work().stores;
  const size_t due = stores.due(groups);
  for (size_t group = 0; group < due; ++group)
    for (const BulkStore& store : stores.all[group]) perform(store);
  stores.drop(due);
}

void bulk_end(AsyncWork& work) {
  // What has been read comes there all the same, when nothing else goes on.
  for (auto& group : work.stores.all)
    for (BulkStore& store : group)
      if (!store.bytes.empty())
        later(
            kAtLast,
            [](void* context) {
              auto* it = static_cast<BulkStore*>(context);
              perform(*it);
              delete it;
            },
            new BulkStore(std::move(store)));
}

}  // namespace srpo::emulation
