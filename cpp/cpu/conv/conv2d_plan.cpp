#include "cpp/cpu/conv/conv2d_plan.h"

#include <numeric>

namespace srpo::cpu {
namespace {

void add_place(ConvAxis::Phase& phase, int64_t offset, int64_t place) {
  for (ConvAxis::Tap& tap : phase.taps)
    if (tap.offset == offset) {
      tap.places.push_back(place);
      return;
    }
  phase.taps.push_back({offset, {place}});
}

int64_t outputs_of_phase(int64_t length, int64_t phase, int64_t phases) {
  return phase < length ? (length - phase + phases - 1) / phases : 0;
}

}  // namespace

ConvAxis forward_axis(int64_t out, int64_t kernel, int64_t stride, int64_t before, bool upsample) {
  const int64_t phases = upsample ? 2 : 1;
  ConvAxis axis{.in_step = stride, .phases = {}};
  for (int64_t a = 0; a < phases; ++a) {
    ConvAxis::Phase phase{.count = outputs_of_phase(out, a, phases), .taps = {}};
    for (int64_t r = 0; r < kernel; ++r) {
      const int64_t place = a * stride + r - before;
      add_place(phase, upsample ? place >> 1 : place, r);
    }
    axis.phases.push_back(phase);
  }
  return axis;
}

ConvAxis gradient_axis(int64_t in, int64_t kernel, int64_t stride, int64_t before, bool upsample) {
  const int64_t copies = upsample ? 2 : 1;
  const int64_t phases = stride / std::gcd(copies, stride);
  ConvAxis axis{.in_step = copies * phases / stride, .phases = {}};
  for (int64_t a = 0; a < phases; ++a) {
    ConvAxis::Phase phase{.count = outputs_of_phase(in, a, phases), .taps = {}};
    for (int64_t copy = 0; copy < copies; ++copy)
      for (int64_t r = 0; r < kernel; ++r) {
        const int64_t reach = copies * a + copy + before - r;  // stride * o, for i = 0
        if (reach % stride == 0) add_place(phase, reach / stride, r);
      }
    axis.phases.push_back(phase);
  }
  return axis;
}

}  // namespace srpo::cpu
