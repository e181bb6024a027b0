#include <napi.h>

#include <mutex>

#include "cpp/binding/register.h"
#include "cpp/comm/mpi.h"
#include "cpp/core/runtime.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  static std::once_flag once;
  std::call_once(once, [] { srpo::binding::open_devices(); });
  srpo::enter_environment();
  env.AddCleanupHook([] {
    // MPI ends where its last call has ended, that of a stream's thread.
    if (srpo::leave_environment()) srpo::comm::end_mpi();
  });
  using namespace srpo::binding;
  register_errors(env, exports);
  register_tensor(env, exports);
  register_wait(env, exports);
  register_runtime(env, exports);
  register_devices(env, exports);
  register_elementwise(env, exports);
  register_recovery(env, exports);
  register_resample(env, exports);
  register_conv(env, exports);
  register_layout(env, exports);
  register_embedding(env, exports);
  register_io(env, exports);
  register_gemm(env, exports);
  register_norm(env, exports);
  register_attention(env, exports);
  register_quantize(env, exports);
  register_profile(env, exports);
  register_random(env, exports);
  register_loss(env, exports);
  register_reward(env, exports);
  register_micro(env, exports);
  register_update(env, exports);
  register_comm(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(srpo_native, init)
