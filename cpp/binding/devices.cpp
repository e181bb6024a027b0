// Which columns this build has: the one place that asks.
#include <napi.h>

#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"
#include "cpp/core/runtime.h"
#include "cpp/cpu/device.h"
#ifdef SRPO_CUDA
#include "cuda/runtime/device.h"
#endif

namespace srpo::binding {

void open_devices() {
  cpu::register_device();
#ifdef SRPO_CUDA
  cuda::register_devices();
  note_devices(DeviceKind::kCuda, "found: " + cuda::description());
#else
  note_devices(DeviceKind::kCuda, "this build is without the cuda column: npm run build:cuda");
#endif
  note_devices(DeviceKind::kEmulated, "npm run build:emulated builds it");
}

namespace {

// cudaText() -> what the cuda device is, or why there is none
Napi::Value cuda_text(const Napi::CallbackInfo& info) {
#ifdef SRPO_CUDA
  return Napi::String::New(info.Env(), cuda::description());
#else
  return Napi::String::New(info.Env(), "not in this build");
#endif
}

}  // namespace

void register_devices(Napi::Env env, Napi::Object exports) {
  define<cuda_text>(env, exports, "cudaText");
}

}  // namespace srpo::binding
