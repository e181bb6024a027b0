// What a kernel will not do with what it finds in device memory, an index out of range say, told after
// it: no launcher can look before.
//
//   int64_t* word = complaint(stream);
//   launch(kernel, ..., word, ...);      sets *word to anything but 0, and leaves no harm
//   heed(word, [](int64_t it) { ... });  throws
#pragma once
#include "cuda/common/launch.cuh"

namespace srpo::cuda {

/// A word on the device, 0 at first, for the op that runs now.
inline int64_t* complaint(Stream& stream) {
  const int64_t none = 0;
  return static_cast<int64_t*>(stream.scratch(sizeof none, &none));
}

#ifdef __CUDACC__

/// A card's word is not looked at yet: that belongs to the wait that follows. What the kernel made of it
/// stays, such as a loss that is not a number.
template <typename F>
void heed(const int64_t*, const F&) {}

#else

/// Calls refuse(word), which throws, if there is a complaint.
template <typename F>
void heed(const int64_t* word, const F& refuse) {
  if (*word != 0) refuse(*word);
}

#endif

}  // namespace srpo::cuda
