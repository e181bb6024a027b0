#pragma once
#include <napi.h>

namespace srpo::binding {

/// Registers the devices that this build has; once a process.
void open_devices();

// One a file: each adds its functions to the addon's exports.
void register_errors(Napi::Env env, Napi::Object exports);
void register_tensor(Napi::Env env, Napi::Object exports);
void register_wait(Napi::Env env, Napi::Object exports);
void register_runtime(Napi::Env env, Napi::Object exports);
void register_devices(Napi::Env env, Napi::Object exports);
void register_elementwise(Napi::Env env, Napi::Object exports);
void register_recovery(Napi::Env env, Napi::Object exports);
void register_resample(Napi::Env env, Napi::Object exports);
void register_conv(Napi::Env env, Napi::Object exports);
void register_layout(Napi::Env env, Napi::Object exports);
void register_embedding(Napi::Env env, Napi::Object exports);
void register_io(Napi::Env env, Napi::Object exports);
void register_gemm(Napi::Env env, Napi::Object exports);
void register_norm(Napi::Env env, Napi::Object exports);
void register_attention(Napi::Env env, Napi::Object exports);
void register_quantize(Napi::Env env, Napi::Object exports);
void register_profile(Napi::Env env, Napi::Object exports);
void register_random(Napi::Env env, Napi::Object exports);
void register_loss(Napi::Env env, Napi::Object exports);
void register_reward(Napi::Env env, Napi::Object exports);
void register_micro(Napi::Env env, Napi::Object exports);
void register_update(Napi::Env env, Napi::Object exports);
void register_comm(Napi::Env env, Napi::Object exports);

}  // namespace srpo::binding
