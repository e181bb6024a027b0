#include "cpp/ops/embedding/embedding.h"

#include "cpp/binding/arguments.h"
#include "cpp/binding/guarded.h"
#include "cpp/binding/register.h"

namespace srpo::binding {
namespace {

std::vector<int64_t> ids_of(const Arguments& args) {
  const Napi::Value value = args.raw(1);
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array) {
    const auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }
  return args.integers(1, "ids");
}

// embeddingForward(table, ids: number[] | Int32Array, shape) -> [y, ids as a tensor, for backward]
Napi::Value embedding_forward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "embedding");
  const Tensor table = args.tensor(0, "table");
  const std::vector<int64_t> values = ids_of(args);
  Shape shape = args.integers(2, "shape");
  require_ids(table, values, shape);

  const Tensor ids = Tensor::empty(shape, DType::kInt32, table.device());
  const std::vector<int32_t> narrow(values.begin(), values.end());
  table.stream().copy_from_host(ids->pointer, narrow.data(), narrow.size() * sizeof(int32_t));
  shape.push_back(table->dim(1));
  const Tensor y = Tensor::empty(shape, table->dtype, table.device());
  srpo::embedding_forward({.y = y, .table = table, .ids = ids}, table.stream());
  return args.handles({y, ids});
}

// embeddingBackward(dtable, dy, ids): adds to dtable
Napi::Value embedding_backward(const Napi::CallbackInfo& info) {
  const Arguments args(info, "embedding backward");
  const Tensor dtable = args.tensor(0, "dtable");
  const Tensor dy = args.tensor(1, "dy");
  const Tensor ids = args.tensor(2, "ids");
  srpo::embedding_backward({.dtable = dtable, .dy = dy, .ids = ids}, dy.stream());
  return info.Env().Undefined();
}

}  // namespace

void register_embedding(Napi::Env env, Napi::Object exports) {
  define<embedding_forward>(env, exports, "embeddingForward");
  define<embedding_backward>(env, exports, "embeddingBackward");
}

}  // namespace srpo::binding
