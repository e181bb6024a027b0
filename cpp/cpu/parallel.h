#pragma once
#include <cstdint>
#include <type_traits>

namespace srpo::cpu {

/// A reference to a callable, for the length of a call.
class BlockFunction {
 public:
  template <typename F>
  BlockFunction(const F& f)  // NOLINT: implicit, so that a lambda can stand at the call
      : object_(&f),
        call_([](const void* object, int64_t block) { (*static_cast<const F*>(object))(block); }) {}
  void operator()(int64_t block) const { call_(object_, block); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t);
};

/// Runs f(0) ... f(blocks - 1), each once, on all threads of the pool, the caller among them. Which
/// thread takes which block is left to chance, so f(i) writes its own part only, and what is summed
/// over blocks is summed afterwards in their order: results then do not depend on the number of
/// threads. An exception of one block is rethrown here. Not to be nested.
void parallel_blocks(int64_t blocks, BlockFunction f);

/// Splits [0, n) into ranges of `grain` and runs f(begin, end) for each, in parallel. The grain
/// must not depend on the number of threads; 16384 float operations keep a thread's wake-up small.
template <typename F>
void parallel_ranges(int64_t n, int64_t grain, const F& f) {
  if (n <= grain) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
  parallel_blocks((n + grain - 1) / grain, [&](int64_t block) {
    const int64_t begin = block * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

/// Threads that work, the caller among them. 0 asks for as many as the process may use.
void set_threads(int threads);
int threads();
/// Ends the pool's threads; they start again when asked for.
void stop_threads();

}  // namespace srpo::cpu
