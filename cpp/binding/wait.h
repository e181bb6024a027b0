#pragma once
#include <napi.h>

#include <functional>

#include "cpp/core/stream.h"

namespace srpo::binding {

/// A promise that settles when all earlier work of the stream has ended: with what `value` gives, or
/// with the error of the first piece that failed. While it is open the event loop stays alive.
Napi::Value promise_of(Napi::Env env, Stream& stream, std::function<Napi::Value(Napi::Env)> value);

}  // namespace srpo::binding
