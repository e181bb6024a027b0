// Waits: how the end of enqueued work reaches JavaScript without its thread ever blocking.
#include "cpp/binding/wait.h"

#include <memory>

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"

namespace srpo::binding {
namespace {

/// One open wait. Made and settled on JavaScript's thread; `failure` is written by the stream's.
struct Wait {
  Napi::Promise::Deferred deferred;
  std::function<Napi::Value(Napi::Env)> value;
  Napi::ThreadSafeFunction settle;
  std::exception_ptr failure;
};

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
  auto* wait = new Wait{Napi::Promise::Deferred::New(env), std::move(value), {}, nullptr};
  wait->settle = Napi::ThreadSafeFunction::New(env, Napi::Function(), "srpo wait", 0, 1);
  const Napi::Value promise = wait->deferred.Promise();
  stream.when_done([wait](std::exception_ptr failure) {
    wait->failure = failure;
    Napi::ThreadSafeFunction settle = wait->settle;
    settle.NonBlockingCall(wait, [](Napi::Env js, Napi::Function, Wait* done) {
      const std::unique_ptr<Wait> owned(done);
      if (js == nullptr) return;  // the environment is going away
      if (owned->failure)
        owned->deferred.Reject(js_error(js, owned->failure).Value());
      else
        owned->deferred.Resolve(owned->value(js));
    });
    settle.Release();
  });
  return promise;
}

void register_wait(Napi::Env env, Napi::Object exports) {
  define<tensor_read>(env, exports, "tensorRead");
  define<synchronize>(env, exports, "synchronize");
}

}  // namespace srpo::binding
