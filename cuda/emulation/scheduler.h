// Which thread of a launch goes on next: the state that grid.cpp keeps and thread_calls.cpp changes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulation/grid.h"

namespace srpo::emulation {

constexpr uint64_t kNever = ~uint64_t{0};
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
constexpr unsigned kNeverLinger = 0;

struct Background {
  uint64_t due;
  void (*complete)(void*);
  void* context;
};

/// One at a time: what `current` and `launched` belong to.
struct Scheduler {
  uint64_t random = 1;
  uint64_t late = 0;  // says what is late throughout
  uint64_t clock = 0;
  uint64_t progress = 0;  // grows with everything that may let another thread go on
  std::vector<Thread*> ready, spinning;
  std::vector<Thread*> lingering;  // go on when no other can
  unsigned lingers = kNeverLinger;
  std::vector<Block*> fresh;  // blocks with threads that have not begun
  std::vector<Background> background;
  bool earlier_runs = false;    // the kernel before: global memory is shut until it has ended
  bool waited = false;          // a thread has, for it
  std::vector<Thread*> behind;  // threads that do
  std::string failure;
};

extern Scheduler scheduler;

inline uint64_t mixed(uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

inline uint64_t next_random() {
  return mixed(scheduler.random += kGolden);
}

inline std::string text_of(const Index& i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

}  // namespace srpo::emulation
