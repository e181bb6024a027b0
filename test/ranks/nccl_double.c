// Stands in for libnccl.so.2 in nccl.test.ts: its interface over memory that the processes of one machine
// share, so that which calls are made, with what and by which rank is tested without a GPU. Not NCCL.
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define RANKS 8
#define BYTES (64 << 20) // of one rank; pages come as they are touched

typedef struct {
  char internal[128];
} Id;
typedef struct {
  atomic_int joined, come, round;
  char data[RANKS][BYTES];
} Shared;
typedef struct {
  Shared* shared;
  int rank, size;
} Comm;

static void say(const char* text, int a, int b) {
  if (getenv("NCCL_DOUBLE_SAYS")) fprintf(stderr, "double %s %d %d\n", text, a, b);
}
static void meet(Comm* c) {
  const int round = atomic_load(&c->shared->round);
  if (atomic_fetch_add(&c->shared->come, 1) + 1 == c->size) {
    atomic_store(&c->shared->come, 0);
    atomic_fetch_add(&c->shared->round, 1);
  } else {
    while (atomic_load(&c->shared->round) == round) usleep(50);
  }
}
static size_t size_of(int type) { return type == 1 ? 1 : type == 2 || type == 7 ? 4 : 0; }

API int ncclGetVersion(int* version) {
  const char* said = getenv("NCCL_DOUBLE_VERSION");
  *version = said ? atoi(said) : 22000;
  return 0;
}
API const char* ncclGetErrorString(int status) { return status ? "invalid argument" : "no error"; }
API const char* ncclGetLastError(void* comm) { return comm ? "of the double" : "before any"; }
API int ncclGetUniqueId(Id* id) {
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "/srpo-nccl-double-%d", getpid());
  return 0;
}
API int ncclCommInitRank(Comm** comm, int size, Id id, int rank) {
  say("init", rank, size);
  if (size > RANKS || rank < 0 || rank >= size || id.internal[0] != '/') return 4;
  Comm* c = malloc(sizeof *c);
  int fd = shm_open(id.internal, O_CREAT | O_RDWR, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(Shared)) != 0) return 2;
  c->shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  c->rank = rank;
  c->size = size;
  atomic_fetch_add(&c->shared->joined, 1);
  while (atomic_load(&c->shared->joined) < size) usleep(1000);
  if (rank == 0) shm_unlink(id.internal);
  *comm = c;
  return 0;
}
API int ncclCommFinalize(Comm* c) {
  say("finalize", c->rank, c->size);
  return 0;
}
API int ncclCommDestroy(Comm* c) {
  say("destroy", c->rank, c->size);
  munmap(c->shared, sizeof(Shared));
  free(c);
  return 0;
}
API int ncclCommGetAsyncError(Comm* c, int* status) {
  (void)c;
  *status = 0;
  return 0;
}

static void combine(void* to, const void* from, size_t count, int type, int op) {
  for (size_t i = 0; i < count; ++i)
    if (type == 7) {
      float *a = (float*)to + i, b = ((const float*)from)[i];
      *a = op == 0 ? *a + b : *a > b ? *a : b;
    } else {
      int32_t *a = (int32_t*)to + i, b = ((const int32_t*)from)[i];
      *a = op == 0 ? *a + b : *a > b ? *a : b;
    }
}
/// Everyone's `bytes` from `in`, then `take`, then nobody reads any more.
#define WITH_ALL(in, bytes, take)                     \
  do {                                                \
    if ((bytes) == 0 || (bytes) > BYTES) return 4;    \
    memcpy(c->shared->data[c->rank], in, bytes);      \
    meet(c);                                          \
    take;                                             \
    meet(c);                                          \
  } while (0)

API int ncclAllReduce(const void* in, void* out, size_t n, int type, int op, Comm* c, void* s) {
  say("allReduce", type, op);
  (void)s;
  WITH_ALL(in, n * size_of(type), {
    memcpy(out, c->shared->data[0], n * size_of(type));
    for (int r = 1; r < c->size; ++r) combine(out, c->shared->data[r], n, type, op);
  });
  return 0;
}
API int ncclReduceScatter(const void* in, void* out, size_t n, int type, int op, Comm* c, void* s) {
  say("reduceScatter", type, op);
  (void)s;
  if (n == 1013) return 4; // how aside_child.ts asks for a failure
  const size_t part = n * size_of(type);
  WITH_ALL(in, part * (size_t)c->size, {
    memcpy(out, c->shared->data[0] + (size_t)c->rank * part, part);
    for (int r = 1; r < c->size; ++r)
      combine(out, c->shared->data[r] + (size_t)c->rank * part, n, type, op);
  });
  return 0;
}
API int ncclAllGather(const void* in, void* out, size_t n, int type, Comm* c, void* s) {
  say("allGather", type, 0);
  (void)s;
  const size_t part = n * size_of(type);
  WITH_ALL(in, part, {
    for (int r = 0; r < c->size; ++r) memcpy((char*)out + (size_t)r * part, c->shared->data[r], part);
  });
  return 0;
}
API int ncclBroadcast(const void* in, void* out, size_t n, int type, int root, Comm* c, void* s) {
  say("broadcast", type, root);
  (void)s;
  WITH_ALL(in, n * size_of(type), memcpy(out, c->shared->data[root], n * size_of(type)));
  return 0;
}
