#include "cpp/ops/resample/patchify.h"

#include "cpp/core/check.h"
#include "cpp/ops/op_table.h"

namespace srpo {

namespace {

constexpr int64_t kMostSide = int64_t{1} << 30;  // so that products of two sizes do not overflow

void require_patch(const char* op, int64_t patch) {
  require_range(op, "patch", patch >= 1 && patch <= kMostSide, "1 to 2^30", std::to_string(patch));
}

}  // namespace

void patchify_check(const char* name, const char* argument, const TensorView& picture,
                    int64_t patch) {
  require_rank(name, argument, picture, 4, "[B, H, W, C]");
  require_float(name, argument, picture);
  require_not_empty(name, argument, picture);
  require_patch(name, patch);
  if (picture.dim(1) % patch != 0 || picture.dim(2) % patch != 0)
    refuse("ERR_SHAPE", name, argument,
           "a height and a width that " + std::to_string(patch) + " divides", shape_text(picture));
}

void unpatchify_check(const char* name, const char* argument, const TensorView& tokens,
                      int64_t height, int64_t width, int64_t patch) {
  require_rank(name, argument, tokens, 3, "[B, L, C * p * p]");
  require_float(name, argument, tokens);
  require_not_empty(name, argument, tokens);
  require_patch(name, patch);
  require_range(name, "height", height >= 1 && height <= kMostSide && height % patch == 0,
                "a multiple of " + std::to_string(patch), std::to_string(height));
  require_range(name, "width", width >= 1 && width <= kMostSide && width % patch == 0,
                "a multiple of " + std::to_string(patch), std::to_string(width));
  require_shape(name, argument, tokens, {-1, height / patch * (width / patch), -1});
  if (tokens.dim(2) % (patch * patch) != 0)
    refuse("ERR_SHAPE", name, argument,
           "channels that " + std::to_string(patch * patch) + " divides", shape_text(tokens));
}

void patchify(const Patchify& op, Stream& stream) {
  dispatch("patchify", &OpTable::patchify, op, stream);
}

void unpatchify(const Unpatchify& op, Stream& stream) {
  dispatch("unpatchify", &OpTable::unpatchify, op, stream);
}

}  // namespace srpo
