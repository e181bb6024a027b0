#pragma once
#include <vector>

#include "cpp/core/stream.h"
#include "cpp/core/tensor_view.h"
#include "cpp/micro/canvas.h"
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// Draws into `canvas.pixels`.
void render(const Scene& scene, Style style, Canvas& canvas);

struct Picture {
  Attributes attributes;
  Style style;
  uint32_t number;  // of the scene within its split: the last word of its draws' counter
};

/// Pictures of the micro world. No op of the table: it runs on the host, into host memory, on the cpu
/// device's stream. The same bytes for the same arguments on any number of threads.
struct MicroRender {
  TensorView pictures;  // [B, S, S, 3]  uint8, or float32 in [0, 1]         out
  TensorView coverage;  // [B, S, S]     uint8, the object's share of 255   out, may be missing
  std::vector<Picture> scenes;  // B
  SceneKey key;                 // its sample is each scene's number
};

void micro_render(const MicroRender& op, Stream& stream);

}  // namespace srpo::micro
