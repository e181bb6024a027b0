// The Hopper product with heads on its way out: every tile, whole and cut along K, against the definition.
#include "cuda/gemm/gemm_heads.h"
#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

constexpr int kSamples = 2, kTokens = 83, kBefore = 5, kHeads = 2,
              kK = 136;  // no tile divides them
constexpr int kAll = kBefore + kTokens, kM = kSamples * kTokens, kN = 3 * kHeads * kHeadSize;

struct Projection {
  Buffer<bfloat16> x{size_t(kM) * kK}, w{size_t(kN) * kK}, bias{kN}, scale{2 * kHeadSize};
  Buffer<float> cos{size_t(kAll) * kHeadSize / 2}, sin{size_t(kAll) * kHeadSize / 2};
  Buffer<bfloat16> out{size_t(3) * kSamples * kHeads * kAll * kHeadSize, bfloat16(3.f)};

  explicit Projection(uint64_t seed = 0) {
    fill(x, seed + 1);
    fill(w, seed + 2);
    fill(bias, seed + 3);
    fill(scale, seed + 4);
    for (size_t i = 0; i < cos.size(); ++i) {
      cos[i] = std::cos(0.1f * float(i % 997));
      sin[i] = std::sin(0.1f * float(i % 997));
    }
  }

  Gemm gemm() {
    Gemm g = {.M = kM, .N = kN, .K = kK, .dtype = DType::kBFloat16, .a = {}, .b = {}};
    g.output_dtype = DType::kBFloat16;
    g.a = {x.get(), kK, 1};
    g.b = {w.get(), 1, kK};
    g.output = {.out = out.get(), .stride = kN, .bias = bias.get()};
    return g;
  }
  bfloat16* part(int i) { return out.get() + out.size() / 3 * i; }
  GemmHeads heads() {
    return {.q = part(0),
            .k = part(1),
            .v = part(2),
            .q_scale = scale.get(),
            .k_scale = scale.get() + kHeadSize,
            .cos = cos.get(),
            .sin = sin.get(),
            .N = kHeads,
            .Li = kTokens,
            .L = kAll,
            .offset = kBefore,
            .eps = 1e-6f};
  }

  /// Head `column / 128` of row `row`, as q, k or v has it.
  void check(int row, int column) {
    double v[kHeadSize], squares = 0;
    for (int d = 0; d < kHeadSize; ++d) {
      v[d] = float(bias[column + d]);
      for (int k = 0; k < kK; ++k)
        v[d] += double(float(x[size_t(row) * kK + k])) * float(w[size_t(column + d) * kK + k]);
      squares += v[d] * v[d];
    }
    const int which = column / kHeadSize / kHeads, token = kBefore + row % kTokens;
    const int head = row / kTokens * kHeads + column / kHeadSize % kHeads;
    const double rstd = 1 / std::sqrt(squares / kHeadSize + 1e-6);
    for (int d = 0; which < 2 && d < kHeadSize; ++d)
      v[d] *= rstd * float(scale[which * kHeadSize + d]);
    for (int m = 0; which < 2 && m < kHeadSize / 2; ++m) {
      const double c = cos[token * kHeadSize / 2 + m], s = sin[token * kHeadSize / 2 + m];
      const double even = v[2 * m], odd = v[2 * m + 1];
      v[2 * m] = even * c - odd * s;
      v[2 * m + 1] = odd * c + even * s;
    }
    const bfloat16* const got = part(which) + (size_t(head) * kAll + token) * kHeadSize;
    for (int d = 0; d < kHeadSize; ++d)
      expect(std::fabs(float(got[d]) - v[d]) <= 4e-3 * (std::fabs(v[d]) + 0.1),
             "row " + std::to_string(row) + ", column " + std::to_string(column + d) + " is " +
                 std::to_string(float(got[d])) + " and not " + std::to_string(v[d]));
  }

  void check() {
    for (int row = 0; row < kM; row += 5)
      for (int column = 0; column < kN; column += kHeadSize) check(row, column);
    // The other stream's tokens are left alone.
    for (int head = 0; head < 3 * kSamples * kHeads; ++head)
      for (int i = 0; i < kBefore * kHeadSize; ++i)
        expect(float(out[size_t(head) * kAll * kHeadSize + i]) == 3.f, "another stream's token");
  }
};

}  // namespace

void add_gemm_heads(std::vector<Case>& cases) {
  const std::pair<GemmTileKind, const char*> tiles[] = {{GemmTileKind::k128x256, "128 x 256"},
                                                        {GemmTileKind::k128x128, "128 x 128"},
                                                        {GemmTileKind::k64x128, "64 x 128"}};
  for (const auto& [tile, name] : tiles)
    for (const bool split : {false, true})
      cases.push_back({std::string("gemm heads, ") + name + (split ? ", split" : ", whole tiles"),
                       [tile = tile, split](Stream& stream) {
                         Projection projection;
                         const Gemm g = projection.gemm();
                         expect(takes_gemm_sm90(g), "the kernel does not take it");
                         GemmPlan plan = plan_gemm(tile, sizes_of_heads({&g, 1}), 3);
                         GemmSchedule& s = plan.schedule;
                         s.deal(split || s.tiles() > 3 ? 3 : s.tiles(), split ? s.tiles() : 0);
                         const GemmHeads heads = projection.heads();
                         gemm_sm90_heads({&g, 1}, {&heads, 1}, plan, stream);
                         finish(stream);
                         projection.check();
                       }});
  for (const auto& [tile, name] : tiles)
    cases.push_back({std::string("gemm heads of a pair, ") + name, [tile = tile](Stream& stream) {
                       Projection first, second(10);
                       const Gemm both[] = {first.gemm(), second.gemm()};
                       const GemmHeads heads[] = {first.heads(), second.heads()};
                       expect(go_together(both[0], both[1]), "they do not go together");
                       GemmPlan plan = plan_gemm(tile, sizes_of_heads(both), 3);
                       plan.schedule.deal(3, 2, 1);
                       gemm_sm90_heads(both, heads, plan, stream);
                       finish(stream);
                       first.check();
                       second.check();
                     }});
}

}  // namespace srpo::cuda::test
