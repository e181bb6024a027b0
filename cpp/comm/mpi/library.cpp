// srpo_mpi.node: the collectives over MPI. A library of its own, built where MPI is found and opened when
// ranks are asked for, since it pulls in a dozen others.
//
// A sum runs in the order of the ranks, ((r0 + r1) + r2) + ..., in float32: each rank gets everyone's
// copy of its own part (MPI_Alltoall), adds, and for an all-reduce hands the result to all
// (MPI_Allgather). So all ranks hold the same bits, an all-reduce gives the bits of a reduce-scatter,
// bfloat16 is rounded once, and nothing depends on how MPI would have cut the message. Each rank sends
// and receives 2 (N-1)/N of the tensor, the least there is.
// Its C interface is all that is used.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "cpp/comm/mpi/table.h"
#include "cpp/core/dtype.h"

namespace {

// Of everyone's copies at once: the sum runs in cache, and counts stay far below MPI's int.
constexpr int64_t kChunkBytes = 4 << 20;

struct Failure {
  int status;
  const char* call;
};

/// MPI_THREAD_SERIALIZED: one thread at a time.
std::mutex mutex;
bool begun = false, ended = false;
int world_rank = 0, world_size = 1;
MPI_Comm world = MPI_COMM_NULL;
std::vector<char> copies;

void check(int status, const char* call) {
  if (status != MPI_SUCCESS) throw Failure{status, call};
}
#define MPI_CHECK(call) check(call, #call)

template <typename Body>
const char* guarded(Body&& body) {
  thread_local std::string message;
  const std::lock_guard lock(mutex);
  try {
    if (!begun || ended) return "MPI has not begun, or has ended";
    body();
    return nullptr;
  } catch (const Failure& failure) {
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    MPI_Error_string(failure.status, text, &length);
    message = std::string(failure.call).substr(0, std::strcspn(failure.call, "(")) + ": " + text;
  } catch (const std::exception& error) {
    message = error.what();
  }
  return message.c_str();
}

/// Blocks of `bytes` bytes that lie `stride` bytes apart: one element each of a collective.
class Blocks {
 public:
  Blocks(int64_t bytes, int64_t stride) {
    MPI_Datatype block;
    MPI_CHECK(MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &block));
    const int status = MPI_Type_create_resized(block, 0, stride, &type_);
    MPI_Type_free(&block);
    check(status, "MPI_Type_create_resized");
    MPI_CHECK(MPI_Type_commit(&type_));
  }
  ~Blocks() { MPI_Type_free(&type_); }
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  MPI_Datatype type() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

float wide(float x) {
  return x;
}
float wide(srpo::bfloat16 x) {
  return static_cast<float>(x);
}
int32_t wide(int32_t x) {
  return x;
}
template <typename T>
T narrow(T x) {
  return x;
}

/// out[i] = copies[0][i] + copies[1][i] + ..., in this order, rounded once
template <typename T>
[[gnu::always_inline]] inline void add_up(T* out, const char* from, int64_t count, bool max) {
  using Wide = decltype(wide(T{}));
  constexpr int64_t kBlock = 1024;
  Wide sum[kBlock];
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t n = std::min(kBlock, count - start);
    for (int r = 0; r < world_size; ++r) {
      const T* x = reinterpret_cast<const T*>(from) + r * count + start;
      if (r == 0)
        for (int64_t i = 0; i < n; ++i) sum[i] = wide(x[i]);
      else if (max)  // NaN stays: whoever looks for it must find it
        for (int64_t i = 0; i < n; ++i) {
          const Wide y = wide(x[i]);
          sum[i] = y > sum[i] || y != y ? y : sum[i];
        }
      else if constexpr (std::is_same_v<T, int32_t>)  // wraps round, as NCCL's
        for (int64_t i = 0; i < n; ++i)
          sum[i] =
              static_cast<int32_t>(static_cast<uint32_t>(sum[i]) + static_cast<uint32_t>(x[i]));
      else
        for (int64_t i = 0; i < n; ++i) sum[i] += wide(x[i]);
    }
    for (int64_t i = 0; i < n; ++i) out[start + i] = T(sum[i]);
  }
}

// Once an instruction set: what this one library is built for is every x86-64.
#define SRPO_CLONES [[gnu::target_clones("avx2", "default")]]
SRPO_CLONES void add_up_float32(float* out, const char* from, int64_t count, bool max) {
  add_up(out, from, count, max);
}
SRPO_CLONES void add_up_bfloat16(srpo::bfloat16* out, const char* from, int64_t count, bool max) {
  add_up(out, from, count, max);
}
SRPO_CLONES void add_up_int32(int32_t* out, const char* from, int64_t count, bool max) {
  add_up(out, from, count, max);
}

void add_up(int type, void* out, const char* from, int64_t count, bool max) {
  if (type == kSrpoMpiFloat32) add_up_float32(static_cast<float*>(out), from, count, max);
  if (type == kSrpoMpiBFloat16)
    add_up_bfloat16(static_cast<srpo::bfloat16*>(out), from, count, max);
  if (type == kSrpoMpiInt32) add_up_int32(static_cast<int32_t*>(out), from, count, max);
}

int64_t size_of(int type) {
  return type == kSrpoMpiBFloat16 ? 2 : 4;
}

char* copies_of(int64_t bytes) {
  if (static_cast<int64_t>(copies.size()) < bytes) copies.resize(bytes);
  return copies.data();
}

/// Everyone's `bytes` bytes for this rank, from blocks `stride` apart, end to end in `copies`.
void exchange(const char* in, int64_t bytes, int64_t stride) {
  const Blocks sent(bytes, stride);
  const Blocks received(bytes, bytes);
  MPI_CHECK(
      MPI_Alltoall(in, 1, sent.type(), copies_of(bytes * world_size), 1, received.type(), world));
}

const char* all_reduce(void* data, int64_t count, int type, int max) {
  return guarded([&] {
    const int64_t size = size_of(type);
    // Whole parts first, in chunks of one part a rank; what is left over everyone adds up for itself.
    const int64_t most = std::max<int64_t>(1, kChunkBytes / size / world_size);
    char* at = static_cast<char*>(data);
    while (count >= world_size) {
      const int64_t part = std::min(most, count / world_size);
      const int64_t bytes = part * size;
      exchange(at, bytes, bytes);
      add_up(type, at + world_rank * bytes, copies.data(), part, max != 0);
      MPI_CHECK(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, at, static_cast<int>(bytes),
                              MPI_BYTE, world));
      at += bytes * world_size;
      count -= part * world_size;
    }
    if (count == 0) return;
    const int bytes = static_cast<int>(count * size);
    MPI_CHECK(MPI_Allgather(at, bytes, MPI_BYTE, copies_of(int64_t{bytes} * world_size), bytes,
                            MPI_BYTE, world));
    add_up(type, at, copies.data(), count, max != 0);
  });
}

const char* reduce_scatter(const void* in, void* out, int64_t count, int type) {
  return guarded([&] {
    const int64_t size = size_of(type);
    const int64_t most = std::max<int64_t>(1, kChunkBytes / size / world_size);
    for (int64_t start = 0; start < count; start += most) {
      const int64_t part = std::min(most, count - start);
      exchange(static_cast<const char*>(in) + start * size, part * size, count * size);
      add_up(type, static_cast<char*>(out) + start * size, copies.data(), part, false);
    }
  });
}

const char* all_gather(const void* in, void* out, size_t size) {
  return guarded([&] {
    const int64_t bytes = static_cast<int64_t>(size);
    const char* own = static_cast<const char*>(out) + world_rank * bytes;
    for (int64_t start = 0; start < bytes; start += kChunkBytes) {
      const int64_t part = std::min(kChunkBytes, bytes - start);
      const Blocks blocks(part, bytes);
      char* to = static_cast<char*>(out) + start;
      if (in == own)
        MPI_CHECK(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, to, 1, blocks.type(), world));
      else
        MPI_CHECK(MPI_Allgather(static_cast<const char*>(in) + start, static_cast<int>(part),
                                MPI_BYTE, to, 1, blocks.type(), world));
    }
  });
}

const char* broadcast(void* data, size_t bytes, int root) {
  return guarded([&] {
    for (size_t start = 0; start < bytes; start += size_t{16} * kChunkBytes) {
      const size_t part = std::min(size_t{16} * kChunkBytes, bytes - start);
      MPI_CHECK(MPI_Bcast(static_cast<char*>(data) + start, static_cast<int>(part), MPI_BYTE, root,
                          world));
    }
  });
}

const char* barrier() {
  return guarded([] { MPI_CHECK(MPI_Barrier(world)); });
}

const char* begin(int* rank, int* size) {
  const std::lock_guard lock(mutex);
  if (ended) return "MPI has ended in this process";
  if (!begun) {
    int granted = 0;
    if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &granted) != MPI_SUCCESS)
      return "MPI_Init_thread failed";
    if (granted < MPI_THREAD_SERIALIZED) return "MPI without MPI_THREAD_SERIALIZED";
    if (MPI_Comm_dup(MPI_COMM_WORLD, &world) != MPI_SUCCESS) return "MPI_Comm_dup failed";
    MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world, &world_rank);
    MPI_Comm_size(world, &world_size);
    begun = true;
  }
  *rank = world_rank;
  *size = world_size;
  return nullptr;
}

void end() {
  const std::lock_guard lock(mutex);
  if (!begun || ended) return;
  ended = true;
  MPI_Comm_free(&world);
  MPI_Finalize();
}

const char* library() {
  static char text[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  return text;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const SrpoMpiTable* srpo_mpi_open() {
  static constexpr SrpoMpiTable table = {kSrpoMpiVersion, begin,          end,
                                         all_reduce,      reduce_scatter, all_gather,
                                         broadcast,       barrier,        library};
  return &table;
}
