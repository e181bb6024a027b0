// ema += (1 - decay) (w - ema); its rows are in adamw_step_rows.h, beside the masters they read.

#include "cpp/ops/update/ema_update.h"

#include "cpp/cpu/isa.h"
#include "cpp/cpu/parallel.h"
#include "cpp/cpu/update/adamw_step_kernels.h"

namespace srpo::cpu {

void ema_update(const EmaUpdate& op, Stream&) {
  const AdamwTables& tables = best_of(adamw_generic, adamw_avx2, adamw_avx512);
  const auto rest = static_cast<float>(1 - op.decay);
  float* ema = op.ema.data<float>();
  parallel_ranges(op.weights.numel(), 16384, [&](int64_t begin, int64_t end) {
    if (op.weights.dtype == DType::kFloat32)
      tables.ema_full(ema + begin, op.weights.data<float>() + begin, rest, end - begin);
    else
      tables.ema_halves(ema + begin, op.weights.data<uint16_t>() + begin,
                        op.remainder.data<uint16_t>() + begin, rest, end - begin);
  });
}

}  // namespace srpo::cpu
