#pragma once

namespace srpo::cpu {

/// Registers the cpu device: host memory, a queue on a thread of its own, every row of the table.
void register_device();

}  // namespace srpo::cpu
