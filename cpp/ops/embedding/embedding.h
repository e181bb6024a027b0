#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"

namespace srpo {

/// y[i] = table[ids[i]]. The ids are checked on the host, by require_ids, before they are uploaded.
struct EmbeddingForward {
  TensorView y;      // [..., D]       out
  TensorView table;  // [V, D]
  TensorView ids;    // [...]   int32  in [0, V)
};

/// dtable[ids[i]] += dy[i], in the order of i.
struct EmbeddingBackward {
  TensorView dtable;  // [V, D]   float  in and out
  TensorView dy;      // [..., D]
  TensorView ids;     // [...]    int32  in [0, V)
};

/// ERR_SHAPE unless there are as many ids as the shape says, at least one; ERR_RANGE for an id
/// that the table has no row for, naming where it stands.
void require_ids(const TensorView& table, const std::vector<int64_t>& ids,
                 const std::vector<int64_t>& shape);
void embedding_forward(const EmbeddingForward& op, Stream& stream);
void embedding_backward(const EmbeddingBackward& op, Stream& stream);

}  // namespace srpo
