// A stack of its own for each emulated thread, and the switch between two of them.
#pragma once
#include <cstddef>

namespace srpo::emulation {

/// A stack on which a function runs until it switches away; reused from one thread to the next.
class Fiber {
 public:
  /// `entry` must never return.
  explicit Fiber(void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Goes on with this fiber where it stopped; returns when it calls `leave`.
  void enter();
  /// Back to whoever entered; called on the fiber itself.
  void leave();
  /// Starts over: what lay on the stack is forgotten.
  void reset();

 private:
  void* stack_;
  void* pointer_;  // the fiber's stack pointer while it does not run
  void* outside_;  // the stack pointer of whoever entered
  void (*entry_)();
};

}  // namespace srpo::emulation
