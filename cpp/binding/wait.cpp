// Waits: how the end of enqueued work reaches JavaScript without its thread ever blocking.
#include "cpp/binding/wait.h"

#include <memory>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"

namespace srpo::binding {
namespace {

/// One open wait. `failure` is written by the stream's thread, everything else happens on JavaScript's.
/// Owned by its thread-safe function, whose end (after the wait, or with the environment) deletes it.
struct Wait {
  Napi::Promise::Deferred deferred;
  std::function<Napi::Value(Napi::Env)> value;
  Napi::ThreadSafeFunction settle = {};
  std::exception_ptr failure = nullptr;

  Wait(Napi::Promise::Deferred promise, std::function<Napi::Value(Napi::Env)> then)
      : deferred(promise), value(std::move(then)) {}
};

void settle(Napi::Env env, Napi::Function, Wait* wait) {
  if (env == nullptr) return;                 // the environment is going away
  const auto value = std::move(wait->value);  // what it holds is freed with the wait's end
  try {
    if (wait->failure)
      wait->deferred.Reject(js_error(env, wait->failure).Value());
    else
      wait->deferred.Resolve(value(env));
  } catch (const Napi::Error&) {
    // JavaScript cannot run any more (a worker is terminated): nobody hears of it.
  }
}

// tensorRead(handle) -> Promise<ArrayBuffer>
Napi::Value tensor_read(const Napi::CallbackInfo& info) {
  const Arguments args(info, "read");
  const Tensor t = args.tensor(0, "tensor");
  const auto bytes = static_cast<size_t>(t->bytes());
  auto buffer = Napi::ArrayBuffer::New(info.Env(), bytes);
  if (bytes > 0) t.stream().copy_to_host(buffer.Data(), t->pointer, bytes);
  auto kept = std::make_shared<Napi::Reference<Napi::ArrayBuffer>>(
      Napi::Reference<Napi::ArrayBuffer>::New(buffer, 1));
  // The tensor is held as well: its memory must not be given back to the system before the copy.
  return promise_of(info.Env(), t.stream(),
                    [kept, t](Napi::Env) -> Napi::Value { return kept->Value(); });
}

// synchronize(device) -> Promise<void>
Napi::Value synchronize(const Napi::CallbackInfo& info) {
  const Arguments args(info, "synchronize");
  return promise_of(info.Env(), stream_of(args.device(0, "device")),
                    [](Napi::Env env) { return env.Undefined(); });
}

}  // namespace

Napi::Value promise_of(Napi::Env env, Stream& stream, std::function<Napi::Value(Napi::Env)> value) {
  auto owned = std::make_unique<Wait>(Napi::Promise::Deferred::New(env), std::move(value));
  const Napi::Value promise = owned->deferred.Promise();
  owned->settle = Napi::ThreadSafeFunction::New(env, Napi::Function(), "srpo wait", 0, 1,
                                                owned.get(), [](Napi::Env, Wait* w) { delete w; });
  Wait* wait = owned.release();
  try {
    stream.when_done([wait](std::exception_ptr failure) {
      wait->failure = failure;
      Napi::ThreadSafeFunction once = wait->settle;
      // A function that is closing has forgotten this thread, and must not be touched again.
      if (once.NonBlockingCall(wait, settle) != napi_closing) once.Release();
    });
  } catch (...) {
    wait->settle.Release();
    throw;
  }
  return promise;
}

void register_wait(Napi::Env env, Napi::Object exports) {
  define<tensor_read>(env, exports, "tensorRead");
  define<synchronize>(env, exports, "synchronize");
}

}  // namespace srpo::binding
