// The one way a kernel is started, on the card and emulated.
//
//   launch(kernel<T>, {.grid = rows, .block = 256, .shared = sizeof(Parts), .stream = stream},
//          y, x, D);
//
// Outputs first, then inputs, then sizes, then scalars; each is converted to its parameter's type.
#pragma once
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/common/early.cuh"
#include "cuda/common/launch_config.h"

namespace srpo::cuda {

#ifdef __CUDACC__

template <typename... P, typename... A>
void launch(void (*kernel)(P...), const LaunchConfig& config, const A&... arguments) {
  std::tuple<std::remove_const_t<P>...> values(static_cast<P>(arguments)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {const_cast<void*>(static_cast<const void*>(&value))..., nullptr};
        launch_kernel(reinterpret_cast<const void*>(kernel), config, pointers);
      },
      values);
}

#else

template <typename... P, typename... A>
void launch(void (*kernel)(P...), const LaunchConfig& config, const A&... arguments) {
  struct Call {
    void (*kernel)(P...);
    std::tuple<std::remove_const_t<P>...> values;
  } call{kernel, {static_cast<P>(arguments)...}};
  check_grid(config.grid);
  const auto index = [](const Extent& e) {
    return emulation::Index{static_cast<unsigned>(e.x), static_cast<unsigned>(e.y),
                            static_cast<unsigned>(e.z)};
  };
  emulation::run({.grid = index(config.grid),
                  .block = index(config.block),
                  .cluster = index(config.cluster),
                  .shared = config.shared,
                  .early = config.early && !config.together,
                  .kernel = reinterpret_cast<const void*>(kernel),
                  .body =
                      [](const void* it) {
                        const auto* c = static_cast<const Call*>(it);
                        std::apply(c->kernel, c->values);
                      },
                  .arguments = &call});
}

#endif

/// n elements of device memory for the op that runs now; they begin as garbage.
template <typename T>
T* scratch(Stream& stream, int64_t n) {
  return static_cast<T*>(stream.scratch(static_cast<size_t>(n) * sizeof(T), nullptr));
}

/// Numbers of the op (one a sample, an index, taps) in device memory, for the op that runs now.
template <typename T>
const T* upload(Stream& stream, const std::vector<T>& values) {
  return static_cast<const T*>(stream.scratch(values.size() * sizeof(T), values.data()));
}

}  // namespace srpo::cuda
