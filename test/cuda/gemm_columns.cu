// The Hopper product whose output is some columns of something wider, or two ranges of columns: every tile,
// whole and cut along K, against the definition.
#include "cuda/gemm/gemm_sm90.h"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

constexpr int kM = 264, kN = 392, kK = 328;  // no tile divides them

/// bias and gelu-tanh into the last kN columns of rows of kWide, what it was given into rows of kN.
struct Beside {
  static constexpr int kWide = kN + 104;
  Buffer<bfloat16> a{size_t(kM) * kK}, b{size_t(kN) * kK}, bias{kN};
  Buffer<bfloat16> out{size_t(kM) * kWide, bfloat16(3.f)}, pre{size_t(kM) * kN};

  Beside() {
    fill(a, 1);
    fill(b, 2);
    fill(bias, 3);
  }
  Gemm gemm() {
    Gemm g = {.M = kM, .N = kN, .K = kK, .dtype = DType::kBFloat16, .a = {}, .b = {}};
    g.output_dtype = DType::kBFloat16;
    g.a = {a.get(), kK, 1};
    g.b = {b.get(), 1, kK};
    g.output = {.out = out.get() + kWide - kN,
                .stride = kWide,
                .bias = bias.get(),
                .activation = ActivationKind::kGeluTanh,
                .pre = pre.get(),
                .pre_stride = kN};
    return g;
  }
  void check() {
    for (int i = 0; i < kM; ++i) {
      for (int j = 0; j < kWide - kN; ++j)
        expect(float(out[size_t(i) * kWide + j]) == 3.f, "a column that is another's is written");
      for (int j = i % 7; j < kN; j += 7) {
        double sum = float(bias[j]);
        for (int k = 0; k < kK; ++k)
          sum += double(float(a[size_t(i) * kK + k])) * float(b[size_t(j) * kK + k]);
        const double u = 0.7978845608028654 * (sum + 0.044715 * sum * sum * sum);
        near(float(pre[size_t(i) * kN + j]), sum, "pre", i, j);
        near(float(out[size_t(i) * kWide + kWide - kN + j]), sum * 0.5 * (1 + std::tanh(u)), "out",
             i, j);
      }
    }
  }
  static void near(double got, double want, const char* what, int i, int j) {
    expect(std::fabs(got - want) <= 4e-3 * (std::fabs(want) + 0.1),
           std::string(what) + ": row " + std::to_string(i) + ", column " + std::to_string(j) +
               " is " + std::to_string(got) + " and not " + std::to_string(want));
  }
};

/// dy w: the first columns as they are, the others times the slope of silu.
struct Apart {
  int before;
  Buffer<bfloat16> a{size_t(kM) * kK}, b{size_t(kN) * kK};
  Buffer<bfloat16> first, rest, of;

  explicit Apart(int before)
      : before(before),
        first(size_t(kM) * before, bfloat16(std::nanf(""))),
        rest(size_t(kM) * (kN - before), bfloat16(std::nanf(""))),
        of(rest.size()) {
    fill(a, 1);
    fill(b, 2);
    fill(of, 3);
  }
  Gemm gemm() {
    Gemm g = {.M = kM, .N = kN, .K = kK, .dtype = DType::kBFloat16, .a = {}, .b = {}};
    g.output_dtype = DType::kBFloat16;
    g.a = {a.get(), kK, 1};
    g.b = {b.get(), kN, 1};
    g.output = {.out = rest.get(),
                .stride = kN - before,
                .activation = ActivationKind::kSilu,
                .derivative_of = of.get(),
                .before = first.get(),
                .before_columns = before};
    return g;
  }
  /// `slopes_from`: the first column that has one.
  void check(int slopes_from) {
    for (int i = 0; i < kM; ++i)
      for (int j = i % 7; j < kN; j += 7) {
        double want = 0;
        for (int k = 0; k < kK; ++k)
          want += double(float(a[size_t(i) * kK + k])) * float(b[size_t(k) * kN + j]);
        const size_t at = size_t(i) * (kN - before) + j - before;
        if (j >= slopes_from) {
          const double u = float(of[at]), sigma = 1 / (1 + std::exp(-u));
          want *= sigma * (1 + u * (1 - sigma));
        }
        Beside::near(float(j < before ? first[size_t(i) * before + j] : rest[at]), want,
                     j < before ? "before" : "out", i, j);
      }
  }
};

GemmPlan plan_of(const Gemm& g, GemmTileKind tile, bool split) {
  expect(takes_gemm_sm90(g), "the kernel does not take it");
  GemmPlan plan = plan_gemm(tile, sizes_of({&g, 1}), 3);
  plan.schedule.deal(3, split ? plan.schedule.tiles() : 0);
  return plan;
}

void run_apart(Stream& stream, GemmTileKind tile, bool split, int before, int slopes_from) {
  Apart product(before);
  const Gemm g = product.gemm();
  gemm_sm90({&g, 1}, plan_of(g, tile, split), stream);
  finish(stream);
  product.check(slopes_from);
}

}  // namespace

void add_gemm_columns(std::vector<Case>& cases) {
  const std::pair<GemmTileKind, const char*> tiles[] = {{GemmTileKind::k128x256, "128 x 256"},
                                                        {GemmTileKind::kPingPong, "ping-pong"},
                                                        {GemmTileKind::k128x128, "128 x 128"},
                                                        {GemmTileKind::k64x128, "64 x 128"}};
  for (const auto& [tile, name] : tiles)
    for (const bool split : {false, true}) {
      const std::string how = std::string(name) + (split ? ", split" : ", whole tiles");
      cases.push_back({"gemm into the last columns, " + how, [=, tile = tile](Stream& stream) {
                         Beside product;
                         const Gemm g = product.gemm();
                         gemm_sm90({&g, 1}, plan_of(g, tile, split), stream);
                         finish(stream);
                         product.check();
                       }});
      for (const int before : {32, 160, 256})  // within a tile, across two, and where one ends
        cases.push_back(
            {"gemm with slopes behind column " + std::to_string(before) + ", " + how,
             [=, tile = tile](Stream& stream) { run_apart(stream, tile, split, before, before); }});
    }
  cases.push_back(
      {"defect: gemm with slopes a piece too far",
       [](Stream& stream) { run_apart(stream, GemmTileKind::k128x128, false, 192, 160); }, true});
}

}  // namespace srpo::cuda::test
