#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace srpo::emulation {
namespace {

constexpr size_t kStackBytes = size_t{192} << 10;  // the system gives what is touched
constexpr size_t kGuardBytes = 4096;               // an overflow stops here

}  // namespace

// Keeps what the System V ABI has a callee keep; the rest the compiler has saved at the call.
extern "C" void srpo_fiber_switch(void** from, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl srpo_fiber_switch
.hidden srpo_fiber_switch
.type srpo_fiber_switch, @function
srpo_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size srpo_fiber_switch, .-srpo_fiber_switch
)");
#else
#error "the emulated device switches stacks by hand, on x86-64 only"
#endif

Fiber::Fiber(void (*entry)()) : entry_(entry) {
  stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(stack_, kGuardBytes, PROT_NONE);
  reset();
}

Fiber::~Fiber() {
  munmap(stack_, kStackBytes);
}

void Fiber::reset() {
  // What the switch pops: six registers, then where it returns to, then the alignment a call leaves.
  auto* top = reinterpret_cast<void**>(static_cast<char*>(stack_) + kStackBytes);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry_);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  pointer_ = top;
}

void Fiber::enter() {
  srpo_fiber_switch(&outside_, pointer_);
}

void Fiber::leave() {
  srpo_fiber_switch(&pointer_, outside_);
}

}  // namespace srpo::emulation
