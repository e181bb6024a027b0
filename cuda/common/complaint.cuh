// What a kernel will not do with what it finds in device memory, an index out of range say, told after
// it: no launcher can look before.
//
//   int64_t* word = complaint(stream);
//   launch(kernel, ..., word, ...);              sets *word to anything but 0, and leaves no harm
//   heed(stream, word, [=](int64_t it) { ... });  throws
//
// On a card the word lies in the host's memory and is looked at by the wait that follows; what the kernel
// made of it stays until then, such as a loss that is not a number.
#pragma once
#include <utility>

#include "cuda/common/launch.cuh"

namespace srpo::cuda {

/// A word that kernels may write to, 0 at first, for the op that runs now.
inline int64_t* complaint(Stream& stream) {
  return stream.complaint();
}

/// Calls refuse(word), which throws, if there is a complaint; it must own what it reads.
template <typename F>
void heed(Stream& stream, int64_t* word, F refuse) {
  stream.heed(word, std::move(refuse));
}

}  // namespace srpo::cuda
