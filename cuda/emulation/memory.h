// Global memory of the emulated device: a room of its own in the address space, so that it can be shut while
// the threads of a kernel that was started early have not waited for the kernel before.
#pragma once
#include <cstddef>

namespace srpo::emulation {

/// At least `bytes` bytes, aligned to 256; nullptr if there are no more. From any thread.
void* allocate(size_t bytes);
void release(void* pointer, size_t bytes);
/// Gives what is free back to the system.
void shrink();

/// Shuts all of it to the thread that calls: its kernel's thread that touches it then fails, with
/// `on_touch(writes)` called on its fiber. Whoever else touches it waits until it is open again.
void shut_memory(void (*on_touch)(bool writes));
void open_memory();

}  // namespace srpo::emulation
