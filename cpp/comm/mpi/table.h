// What the addon calls in srpo_mpi.node: a C table, so that the two need share nothing else.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {

enum SrpoMpiType { kSrpoMpiFloat32, kSrpoMpiBFloat16, kSrpoMpiInt32, kSrpoMpiBytes };

/// Functions return nullptr, or what went wrong (valid until the thread's next call).
struct SrpoMpiTable {
  uint64_t version;
  /// Begins MPI in this process, once; later calls tell the same.
  const char* (*begin)(int* rank, int* size);
  /// Nothing follows it. A call before `begin` does nothing.
  void (*end)();
  const char* (*all_reduce)(void* data, int64_t count, int type, int max);
  const char* (*reduce_scatter)(const void* in, void* out, int64_t count, int type);
  const char* (*all_gather)(const void* in, void* out, size_t bytes);
  const char* (*broadcast)(void* data, size_t bytes, int root);
  const char* (*barrier)();
  /// "Open MPI v4.1.4, ..."
  const char* (*library)();
};

constexpr uint64_t kSrpoMpiVersion = 1;
using SrpoMpiOpen = const SrpoMpiTable*();
}
