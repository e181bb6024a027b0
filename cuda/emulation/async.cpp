#include "cuda/emulation/async.h"

namespace srpo::emulation {

void async_finish(Thread&) {}
void async_end(Block&) {}
std::string async_text(const Thread&) {
  return "";
}

}  // namespace srpo::emulation
