// What a thread of a kernel calls while it runs: to wait, to wake others, to linger, to fail.
#include <cstdlib>

#include "cuda/emulation/fiber.h"
#include "cuda/emulation/scheduler.h"

namespace srpo::emulation {

unsigned draw(unsigned n) {
  return static_cast<unsigned>((next_random() >> 32) * n >> 32);
}

void fail(const std::string& what) {
  Thread& thread = *current;
  scheduler.failure = "block " + text_of(thread.block->index) + " thread " +
                      std::to_string(thread.rank) + ": " + what;
  thread.fiber->leave();
  std::abort();  // a launch that failed goes on with nobody
}

void wait(const char* what, uint64_t which) {
  Thread& thread = *current;
  thread.waits_for = what;
  thread.which = which;
  thread.fiber->leave();
}

void wake(Thread* thread) {
  ++scheduler.progress;
  scheduler.ready.push_back(thread);
}

void wake_all(std::vector<Thread*>& threads) {
  for (Thread* thread : threads) wake(thread);
  threads.clear();
}

void spin() {
  Thread& thread = *current;
  thread.waits_for = "memory that another thread writes";
  scheduler.spinning.push_back(&thread);
  thread.fiber->leave();
}

void wait_for_earlier() {
  scheduler.waited = true;
  if (!scheduler.earlier_runs) return;
  scheduler.behind.push_back(current);
  wait("the kernel before");
}

void touch_global(const char* what) {
  if (scheduler.earlier_runs)
    fail(std::string(what) +
         ": it has not waited for the kernel before: wait_for_earlier_kernel()");
}

void touch(const void* at, const char* what) {
  if (!scheduler.earlier_runs) return;
  const auto offset = static_cast<const unsigned char*>(at) - current->block->shared;
  if (offset < 0 || static_cast<size_t>(offset) >= launched.shared) touch_global(what);
}

void linger() {
  if (scheduler.lingers == kNeverLinger || draw(scheduler.lingers) != 0) return;
  scheduler.lingering.push_back(current);
  wait("the others to go first");
}

bool always_late(uint64_t number) {
  return mixed(scheduler.late + number * kGolden) % 4 == 0;
}

void later(unsigned delay, void (*complete)(void*), void* context) {
  const uint64_t due = delay == kAtLast ? kNever : scheduler.clock + delay;
  scheduler.background.push_back({due, complete, context});
}

unsigned shared_offset(const void* pointer, size_t bytes, const char* what) {
  const auto at = static_cast<const unsigned char*>(pointer) - current->block->shared;
  if (at < 0 || static_cast<size_t>(at) + bytes > launched.shared)
    fail(std::string(what) + ": expected " + std::to_string(bytes) +
         " bytes within shared memory, got offset " + std::to_string(at) + " of " +
         std::to_string(launched.shared));
  return static_cast<unsigned>(at);
}

}  // namespace srpo::emulation
