#include "cpp/binding/guarded.h"

#include "cpp/binding/register.h"

namespace srpo::binding {

namespace {

// An environment has a thread to itself.
thread_local Napi::FunctionReference error_class;

// setErrorClass(class): what errors are instances of, made as new class(code, message)
Napi::Value set_error_class(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction())
    throw Error("ERR_TYPE", "setErrorClass: type: expected a class, got something else");
  error_class = Napi::Persistent(info[0].As<Napi::Function>());
  error_class.SuppressDestruct();  // the environment may be gone when this thread ends
  return info.Env().Undefined();
}

}  // namespace

Napi::Error js_error(Napi::Env env, const std::string& code, const std::string& message) {
  const bool builtin = code == "ERR_TYPE" || code == "ERR_RANGE";
  if (!builtin && !error_class.IsEmpty()) {
    const Napi::Value made =
        error_class.New({Napi::String::New(env, code), Napi::String::New(env, message)});
    return {env, made};
  }
  const auto coded = [&](Napi::Error error) {
    error.Set("code", Napi::String::New(env, code));
    return error;
  };
  if (code == "ERR_TYPE") return coded(Napi::TypeError::New(env, message));
  if (code == "ERR_RANGE") return coded(Napi::RangeError::New(env, message));
  return coded(Napi::Error::New(env, message));
}

Napi::Error js_error(Napi::Env env, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& e) {
    return js_error(env, e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return js_error(env, "ERR_OUT_OF_MEMORY", "host memory is used up");
  } catch (const std::exception& e) {
    return js_error(env, "ERR_INTERNAL", e.what());
  } catch (...) {
    return js_error(env, "ERR_INTERNAL", "an error of no known kind");
  }
}

void register_errors(Napi::Env env, Napi::Object exports) {
  define<set_error_class>(env, exports, "setErrorClass");
  // A reference must not outlive its environment.
  env.AddCleanupHook([] { error_class.Reset(); });
}

}  // namespace srpo::binding
