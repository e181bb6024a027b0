#include "cuda/gemm/gemm_plan.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "cpp/core/error.h"
#include "cuda/gemm/gemm_tile.cuh"

namespace srpo::cuda {
namespace {

constexpr double kBytesOfClock = 46;  // from L2 to one multiprocessor, when all of them ask
constexpr double kStart = 1500;       // clocks until the first product, and after the last store
constexpr int kMostCuts = 8;          // parts of a tile
constexpr int kFewMultiprocessors = 100;

struct Shape {
  int M, N, cluster;
  bool ping_pong;
};

template <typename Tile>
constexpr Shape kShape = {Tile::kM, Tile::kN, Tile::kCluster, Tile::kPingPong};

Shape shape_of(GemmTileKind kind, int ping_pong_width) {
  switch (kind) {
    case GemmTileKind::k128x256:
      return kShape<GemmTile128x256>;
    case GemmTileKind::kPingPong:
      return ping_pong_width == 192   ? kShape<GemmTile128x192>
             : ping_pong_width == 160 ? kShape<GemmTile128x160>
                                      : kShape<GemmTile128x128>;
    case GemmTileKind::k128x128:
      return kShape<GemmTile128x128>;
    case GemmTileKind::k64x128:
      return kShape<GemmTile64x128>;
  }
  return {};
}

struct Clocks {
  double step, end, part;
  bool ping_pong;
};

Clocks clocks_of(const Shape& t, int multiprocessors) {
  const double rate = multiprocessors < kFewMultiprocessors ? 8 : 32;
  const double bytes = 128.0 * (t.M + static_cast<double>(t.N) / t.cluster);
  return {.step = std::max(static_cast<double>(t.M) * t.N / rate, bytes / kBytesOfClock),
          .end = t.M * t.N / 12.0,
          .part = 4.0 * t.M * t.N / kBytesOfClock,
          .ping_pong = t.ping_pong};
}

/// Of the group that has most to do. Whole tile i is range i % groups': who has more than others changes
/// where a product's tiles end.
double clocks(const GemmSchedule& s, const Clocks& c) {
  const int split = s.split_tiles(), first = s.tiles_of(0) - s.of[0].split_tiles;
  const int whole = s.tiles() - split;
  const auto dealt = [&](int tiles, int range) {
    return static_cast<int>(ceil_div(std::max(0, tiles - range), s.groups));
  };
  double most = 0;
  for (const int range : {0, first % s.groups, whole % s.groups}) {
    const int of_first = dealt(first, range), rounds = dealt(whole, range);
    const int ends = rounds + static_cast<int>(ceil_div(split, s.groups));
    const int steps = of_first * s.of[0].steps + (rounds - of_first) * s.of[1].steps;
    most = std::max(most, steps * c.step + c.end * (c.ping_pong ? std::min(ends, 1) : ends));
  }
  if (split > 0) {
    const double parts = std::max(2.0, static_cast<double>(ceil_div(s.groups, split)));
    const double steps = static_cast<double>(s.split_steps());
    most += steps / s.groups * c.step + c.part * parts;
  }
  return kStart + most;
}

std::optional<GemmTileKind> forced_tile() {
  const char* const text = std::getenv("SRPO_GEMM_TILE");
  if (text == nullptr || *text == '\0') return {};
  constexpr const char* kNames[] = {"128x256", "ping-pong", "128x128", "64x128"};
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (std::string_view(text) == kNames[i]) return kGemmTileKinds[i];
  throw Error("ERR_CONFIG", "SRPO_GEMM_TILE: expected 128x256, ping-pong, 128x128 or 64x128, got " +
                                std::string(text));
}

}  // namespace

GemmPlan plan_gemm(GemmTileKind tile, const GemmSizes& size, int multiprocessors) {
  const Shape shape = shape_of(tile, size.ping_pong_width);
  const Clocks model = clocks_of(shape, multiprocessors);
  const int most = std::max(1, multiprocessors / shape.cluster);
  GemmSchedule s = {.of = {},
                    .across = static_cast<int>(ceil_div(size.N, shape.N)),
                    .batch = static_cast<int>(size.batch)};
  for (int i = 0; i < kMostProducts; ++i) {
    s.of[i].down = static_cast<int>(ceil_div(size.of[i].M, shape.M * shape.cluster));
    s.of[i].steps = static_cast<int>(ceil_div(size.of[i].K, 64));
  }
  s.deal(std::min(most, s.tiles()), 0);
  GemmPlan best = {tile, s, clocks(s, model)};
  const auto consider = [&](int groups, int first, int second) {
    s.deal(groups, first, second);
    if (s.each == 0) return;  // a range would be empty
    const double cost = clocks(s, model);
    if (cost < best.clocks) best = {tile, s, cost};
  };
  const int tiles = s.tiles(), first = s.tiles_of(0), second = s.tiles_of(1);
  if (tiles >= most) {
    // The rest of the last round, and one round more, so that nobody has less than a tile's steps.
    const int split = tiles / most > 1 ? most + tiles % most : tiles;
    if (tiles % most != 0) consider(most, std::min(split, first), split - std::min(split, first));
    // Products whose tiles are not alike: the same of each, so that all groups have as many whole tiles of it.
    for (int more = 0; second > 0 && s.of[0].steps != s.of[1].steps && more < 4; ++more)
      consider(most, std::min(first % most + more % 2 * most, first),
               std::min(second % most + more / 2 * most, second));
  } else {
    for (int parts = 2; parts <= kMostCuts && tiles * parts <= most; ++parts)
      consider(tiles * parts, first, second);
    if (most < tiles * kMostCuts) consider(most, first, second);
  }
  return best;
}

GemmPlan plan_gemm(const GemmSizes& sizes, int multiprocessors) {
  static const std::optional<GemmTileKind> forced = forced_tile();
  if (forced) return plan_gemm(*forced, sizes, multiprocessors);
  GemmPlan best = plan_gemm(kGemmTileKinds[0], sizes, multiprocessors);
  for (const GemmTileKind kind : kGemmTileKinds) {
    const GemmPlan plan = plan_gemm(kind, sizes, multiprocessors);
    // A smaller tile moves more bytes a FLOP, which costs power and so clocks: it must be worth it.
    if (plan.clocks < 0.98 * best.clocks) best = plan;
  }
  return best;
}

}  // namespace srpo::cuda
