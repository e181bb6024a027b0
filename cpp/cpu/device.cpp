#include "cpp/cpu/device.h"

#include "cpp/core/queue_stream.h"
#include "cpp/cpu/op_table.h"
#include "cpp/cpu/parallel.h"

namespace srpo::cpu {
namespace {

constexpr Device kDevice{DeviceKind::kCpu, 0};

const OpTable kTable = {
#define SRPO_OP(row, Op) .row = row,
#include "cpp/ops/op_list.inc"
#undef SRPO_OP
};

// Never destroyed: a finalizer that runs while the process ends may still free a tensor.
QueueStream& stream() {
  static QueueStream& one = *new QueueStream(kDevice);
  return one;
}

}  // namespace

void register_device() {
  static Pool& pool = *new Pool(kDevice, host_memory());
  register_backend(kDevice, {.stream = &stream(), .pool = &pool, .table = &kTable, .shut_down = [] {
                               stream().stop();
                               stop_threads();
                             }});
}

}  // namespace srpo::cpu
