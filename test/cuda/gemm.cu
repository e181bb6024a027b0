// The Hopper product of cuda/gemm: every tile, every way in which the operands lie, whole tiles and tiles
// that are cut along K, ragged on all sides, against the definition.
#include <algorithm>

#include "cuda/gemm/gemm_sm90.h"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

enum class Lies { kForward, kInput, kSlope, kWeight, kTransposed, kSquares };

/// How the tiles are dealt out, on three groups of blocks.
enum class Dealt {
  kWhole,  // each group has several, and one of them one more
  kSplit,  // all of them are cut
  kTail,   // the last round is cut
  kThin,   // a tile has more parts than two
};

struct Sizes {
  int M, N, K, batch;
};

struct Product {
  Sizes size;
  Lies lies;
  bool finishes = false;  // bias, gelu-tanh with pre, gate, residual
  Buffer<bfloat16> a, b, c, pre, bias, gate, residual;
  Buffer<float> sums, squares;

  Product(const Sizes& s, Lies lies, bool finishes, uint64_t seed = 0)
      : size(s),
        lies(lies),
        finishes(finishes),
        a(size_t(s.batch) * s.M * s.K),
        b(size_t(s.batch) * s.N * s.K),
        c(size_t(s.batch) * s.M * s.N, bfloat16(adds_to_itself() ? 2.f : std::nanf(""))),
        pre(finishes ? c.size() : 1),
        bias(s.N),
        gate(size_t(2) * s.N),
        residual(c.size()),
        sums(c.size(), 1.f),
        squares(size_t(ceil_div(s.M, kSquareRows) * ceil_div(s.N, kSquareColumns)),
                squares_out() ? std::nanf("") : 0.f) {
    fill(a, seed + 1);
    fill(b, seed + 2);
    fill(bias, seed + 3);
    fill(gate, seed + 4);
    fill(residual, seed + 5);
  }

  bool adds_to_float() const { return lies == Lies::kWeight || lies == Lies::kSquares; }
  bool squares_out() const { return lies == Lies::kSquares || adds_to_itself(); }
  /// As a gradient in bfloat16 does.
  bool adds_to_itself() const { return lies == Lies::kTransposed && size.batch == 1; }

  Gemm gemm() {
    const auto [M, N, K, batch] = size;
    const bool a_along_m = adds_to_float() || lies == Lies::kTransposed;
    const bool b_along_n = lies != Lies::kForward;
    Gemm g = {.M = M, .N = N, .K = K, .batch = batch, .dtype = DType::kBFloat16, .a = {}, .b = {}};
    g.a = {a.get(), a_along_m ? 1 : K, a_along_m ? M : 1, int64_t{M} * K};
    g.b = {b.get(), b_along_n ? N : 1, b_along_n ? 1 : K, int64_t{N} * K};
    g.output = {.out = c.get(), .stride = N, .batch_stride = int64_t{M} * N};
    g.output_dtype = DType::kBFloat16;
    if (adds_to_float()) {
      g.output_dtype = DType::kFloat32;
      g.output.out = sums.get();
      g.output.accumulate = true;
    }
    if (adds_to_itself()) g.output.residual = c.get();
    if (squares_out()) g.output.squares = squares.get();
    if (finishes) {
      g.output.bias = bias.get();
      g.output.activation = ActivationKind::kGeluTanh;
      g.output.pre = pre.get();
      g.output.pre_stride = N;
      g.output.residual = residual.get();
      g.output.gate = gate.get();
      g.output.rows_of_sample = M / 2;
    }
    if (lies == Lies::kSlope) {
      g.output.activation = ActivationKind::kSilu;
      g.output.derivative_of = residual.get();
    }
    return g;
  }

  double exact(int s, int i, int j) {
    const Gemm g = gemm();
    const bfloat16* A = a.get() + s * g.a.batch_stride + i * g.a.row_stride;
    const bfloat16* B = b.get() + s * g.b.batch_stride + j * g.b.column_stride;
    double sum = 0;
    for (int k = 0; k < g.K; ++k)
      sum += double(float(A[k * g.a.column_stride])) * float(B[k * g.b.row_stride]);
    return sum;
  }

  void check() {
    const auto [M, N, K, batch] = size;
    const int step = M * N > 100000 ? 7 : 1;  // which divides no tile: all places are met
    for (int64_t at = 0; at < int64_t(batch) * M * N; at += step) {
      const int s = int(at / (int64_t(M) * N)), i = int(at / N % M), j = int(at % N);
      double want = exact(s, i, j), got = float(c[at]);
      if (adds_to_float()) {
        want += 1;
        got = sums[at];
      }
      if (adds_to_itself()) want += 2;
      if (finishes) {
        want += float(bias[j]);
        near(float(pre[at]), want, at, "pre");
        const double u = 0.7978845608028654 * (want + 0.044715 * want * want * want);
        want *= 0.5 * (1 + std::tanh(u)) * float(gate[size_t(i / (M / 2)) * N + j]);
        want += float(residual[at]);
      }
      if (lies == Lies::kSlope) {
        const double u = float(residual[at]), sigma = 1 / (1 + std::exp(-u));
        want *= sigma * (1 + u * (1 - sigma));
      }
      near(got, want, at, "out");
    }
    if (squares_out()) check_squares();
  }

  /// Of what the output holds, block by block.
  void check_squares() {
    const auto [M, N, K, batch] = size;
    std::vector<double> want(squares.size());
    const int64_t across = ceil_div(N, kSquareColumns);
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < N; ++j) {
        const size_t at = size_t(i) * N + j;
        const double value = adds_to_float() ? sums[at] : float(c[at]);
        want[size_t(i / kSquareRows * across + j / kSquareColumns)] += value * value;
      }
    for (size_t i = 0; i < want.size(); ++i)
      expect(std::fabs(squares[i] - want[i]) <= 2e-6 * want[i],
             "squares: block " + std::to_string(i) + " has " + std::to_string(squares[i]) +
                 " and not " + std::to_string(want[i]));
  }

  void near(double got, double want, int64_t at, const char* what) {
    const double most = adds_to_float() ? 1e-4 : 4e-3 * (std::fabs(want) + 0.1);
    if (std::fabs(got - want) <= most) return;
    expect(false, std::string(what) + ": row " + std::to_string(at / size.N) + ", column " +
                      std::to_string(at % size.N) + " is " + std::to_string(got) + " and not " +
                      std::to_string(want));
  }
};

GemmSchedule deal(const GemmPlan& plan, Dealt dealt) {
  GemmSchedule s = plan.schedule;
  const int tiles = s.tiles(), first = s.tiles_of(0);
  int groups =
      dealt == Dealt::kThin ? (first * s.of[0].steps + s.tiles_of(1) * s.of[1].steps) / 2 : 3;
  if (groups > tiles && dealt == Dealt::kWhole) groups = tiles;
  int split = dealt == Dealt::kWhole ? 0 : dealt == Dealt::kTail ? tiles % 3 + 3 : tiles;
  if (split > tiles) split = tiles;
  // Of the second product as many as of the first, so that both have whole tiles too.
  const int second =
      dealt == Dealt::kTail ? std::min(split / 2, tiles - first) : std::max(0, split - first);
  s.deal(groups, split - second, second);
  return s;
}

void run(Stream& stream, GemmTileKind tile, Lies lies, Dealt dealt, const Sizes& size,
         bool finishes) {
  Product product(size, lies, finishes);
  const Gemm g = product.gemm();
  expect(takes_gemm_sm90(g), "the kernel does not take it");
  GemmPlan plan = plan_gemm(tile, sizes_of({&g, 1}), 3);
  plan.schedule = deal(plan, dealt);
  gemm_sm90({&g, 1}, plan, stream);
  finish(stream);
  product.check();
}

/// The squares are of what a buffer holds: another product that adds to it leaves them behind.
void add_without_squares(Stream& stream) {
  Product product({264, 392, 136, 1}, Lies::kSquares, false);
  Gemm g = product.gemm();
  gemm_sm90({&g, 1}, stream);
  g.output.squares = nullptr;
  gemm_sm90({&g, 1}, stream);
  finish(stream);
  product.check_squares();
}

/// Two products in one launch, of sizes of their own, with what a defect makes of them and of the schedule.
struct Pair {
  Product first, second;
  Gemm both[2];
  GemmPlan plan;

  Pair(GemmTileKind tile, Lies lies, Dealt dealt, const Sizes& a, const Sizes& b, bool finishes)
      : first(a, lies, finishes), second(b, lies, finishes, 10) {
    both[0] = first.gemm();
    both[1] = second.gemm();
    expect(takes_gemm_sm90(both[0]) && takes_gemm_sm90(both[1]), "the kernel does not take it");
    expect(go_together(both[0], both[1]), "they do not go together");
    plan = plan_gemm(tile, sizes_of(both), 3);
    plan.schedule = deal(plan, dealt);
  }
  void run(Stream& stream) {
    gemm_sm90(both, plan, stream);
    finish(stream);
    first.check();
    second.check();
  }
};

void add_pairs(std::vector<Case>& cases, GemmTileKind tile, Lies lies, Dealt dealt,
               const std::string& name) {
  const bool thin = dealt == Dealt::kThin,
             along_k = lies == Lies::kWeight || lies == Lies::kSquares || lies == Lies::kTransposed;
  // Gradients of weights have as many rows and other depths, the other ways other rows.
  const Sizes a = {thin ? 72 : 264, thin ? 136 : 392, thin ? 200 : 328, 1};
  const Sizes b = {along_k || thin ? a.M : 136, a.N, along_k ? 136 : a.K, 1};
  const bool finishes = lies == Lies::kForward;
  cases.push_back({"gemm pair " + name,
                   [=](Stream& stream) { Pair(tile, lies, dealt, a, b, finishes).run(stream); }});
  if (dealt != Dealt::kSplit) return;
  cases.push_back({"gemm pair, the smaller first, " + name,
                   [=](Stream& stream) { Pair(tile, lies, dealt, b, a, finishes).run(stream); }});
}

void add_pair_defects(std::vector<Case>& cases) {
  const auto add = [&](const char* what, Lies lies, void (*plant)(Pair&)) {
    cases.push_back({std::string("defect: gemm pair, ") + what,
                     [=](Stream& stream) {
                       const bool along_k = lies == Lies::kWeight;
                       Pair pair(GemmTileKind::k128x128, lies, Dealt::kSplit, {264, 392, 328, 1},
                                 {along_k ? 264 : 136, 392, along_k ? 136 : 328, 1},
                                 lies == Lies::kForward);
                       plant(pair);
                       pair.run(stream);
                     },
                     true});
  };
  add("the map of the other product", Lies::kInput,
      [](Pair& p) { p.both[1].b.data = p.both[0].b.data; });
  add("the bias of the other product", Lies::kForward,
      [](Pair& p) { p.both[1].output.bias = p.both[0].output.bias; });
  add("the residual of the other product", Lies::kForward,
      [](Pair& p) { p.both[1].output.residual = p.both[0].output.residual; });
  add("a tile twice", Lies::kWeight, [](Pair& p) { p.plan.schedule.of[1].split_tiles -= 1; });
  add("the depth of the other product", Lies::kWeight,
      [](Pair& p) { p.plan.schedule.of[1].steps = p.plan.schedule.of[0].steps - 4; });
}

}  // namespace

void add_gemm(std::vector<Case>& cases) {
  const std::pair<GemmTileKind, const char*> tiles[] = {{GemmTileKind::k128x256, "128 x 256"},
                                                        {GemmTileKind::kPingPong, "ping-pong"},
                                                        {GemmTileKind::k128x128, "128 x 128"},
                                                        {GemmTileKind::k64x128, "64 x 128"}};
  const std::pair<Lies, const char*> ways[] = {
      {Lies::kForward, "x w^T"},          {Lies::kInput, "dy w"},
      {Lies::kSlope, "dy w with slopes"}, {Lies::kWeight, "+= dy^T x"},
      {Lies::kTransposed, "a^T b"},       {Lies::kSquares, "+= dy^T x with squares"}};
  const std::pair<Dealt, const char*> dealings[] = {{Dealt::kWhole, "whole tiles"},
                                                    {Dealt::kSplit, "split"},
                                                    {Dealt::kTail, "a split tail"},
                                                    {Dealt::kThin, "thin parts"}};
  for (const auto& [tile, tile_name] : tiles)
    for (const auto& [lies, way] : ways)
      for (const auto& [dealt, dealing] : dealings) {
        // Thin parts and split tails are for one tile of each way; batches for whole tiles.
        if (dealt == Dealt::kThin && tile != GemmTileKind::k128x128) continue;
        if (dealt == Dealt::kTail && tile != GemmTileKind::k64x128) continue;
        // Squares are of one batch.
        const int batch = dealt == Dealt::kWhole && lies != Lies::kSquares ? 2 : 1;
        const Sizes size = {dealt == Dealt::kThin ? 72 : 264, dealt == Dealt::kThin ? 136 : 392,
                            dealt == Dealt::kWhole ? 136 : 328, batch};
        const bool finishes = lies == Lies::kForward && size.batch == 1;
        cases.push_back({std::string("gemm ") + way + ", " + tile_name + ", " + dealing,
                         [=, tile = tile, lies = lies, dealt = dealt](Stream& stream) {
                           run(stream, tile, lies, dealt, size, finishes);
                         }});
        add_pairs(cases, tile, lies, dealt, std::string(way) + ", " + tile_name + ", " + dealing);
      }
  cases.push_back(
      {"defect: gemm, a product without squares after one with", add_without_squares, true});
  add_pair_defects(cases);
}

}  // namespace srpo::cuda::test
