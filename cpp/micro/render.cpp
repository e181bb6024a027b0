#include "cpp/micro/render.h"

#include "cpp/core/check.h"
#include "cpp/cpu/parallel.h"
#include "cpp/micro/styles.h"
#include "cpp/micro/trace.h"

namespace srpo::micro {
namespace {

constexpr const char* kOp = "microRender";

void write(uint8_t* to, const std::vector<Vec3>& pixels) {
  for (const Vec3& p : pixels)
    for (const float value : {p.x, p.y, p.z})
      *to++ = static_cast<uint8_t>(clamp(value) * 255.f + .5f);
}
void write(float* to, const std::vector<Vec3>& pixels) {
  for (const Vec3& p : pixels)
    for (const float value : {p.x, p.y, p.z}) *to++ = clamp(value);
}

void write_coverage(uint8_t* to, const Canvas& canvas) {
  const int W = canvas.width;
  for (int y = 0; y < canvas.size; ++y)
    for (int x = 0; x < canvas.size; ++x) {
      const Sample* at = canvas.samples.data() + 2 * y * W + 2 * x;
      int hits = 0;
      for (const int i : {0, 1, W, W + 1}) hits += at[i].kind == Kind::kObject;
      *to++ = static_cast<uint8_t>((hits * 255 + 2) / 4);
    }
}

void run(const MicroRender& op) {
  const int64_t size = op.pictures.dim(1);
  cpu::parallel_blocks(op.pictures.dim(0), [&](int64_t b) {
    static thread_local Canvas canvas;
    static thread_local Scene scene;
    const Picture& picture = op.scenes[static_cast<size_t>(b)];
    SceneKey key = op.key;
    key.sample = picture.number;
    draw_scene(scene, picture.attributes, key);
    canvas.resize(static_cast<int>(size));
    render(scene, picture.style, canvas);
    const int64_t at = b * size * size;
    if (op.pictures.dtype == DType::kUInt8)
      write(op.pictures.data<uint8_t>() + 3 * at, canvas.pixels);
    else
      write(op.pictures.data<float>() + 3 * at, canvas.pixels);
    if (op.coverage) write_coverage(op.coverage.data<uint8_t>() + at, canvas);
  });
}

}  // namespace

void render(const Scene& scene, Style style, Canvas& canvas) {
  trace(scene, canvas);
  switch (style) {
    case Style::kPhoto:
      return draw_photo(scene, canvas);
    case Style::kCg:
      return draw_cg(scene, canvas);
    case Style::kPainting:
      return draw_painting(scene, canvas);
    case Style::kFlat:
      return draw_flat(scene, canvas);
  }
}

void micro_render(const MicroRender& op, Stream& stream) {
  require_rank(kOp, "pictures", op.pictures, 4, "[B, S, S, 3]");
  require_not_empty(kOp, "scenes", op.pictures);
  if (op.pictures.dtype != DType::kUInt8) require_dtype(kOp, "dtype", op.pictures, DType::kFloat32);
  stream.submit(kOp, [op] { run(op); });
}

}  // namespace srpo::micro
