// Work beside a stream's own.
#pragma once
#include <functional>
#include <memory>

#include "cpp/core/error.h"
#include "cpp/core/stream.h"

namespace srpo {

/// A piece of work beside a stream's own.
class Aside {
 public:
  /// Without a join its memory is kept all the same for as long as it may be used.
  virtual ~Aside() = default;
  /// What is submitted to the stream from here on comes after it, and is skipped if it failed, until the wait
  /// that reports that.
  virtual void join() = 0;
};

/// What a stream is that can have work beside it: those of the devices.
class AsideStream {
 public:
  virtual ~AsideStream() = default;
  /// Takes work that begins when all that was submitted so far has ended and runs beside what is submitted later,
  /// one such piece after the other; on cuda it is launched at once, too. It is told which stream to use, and not
  /// run if a piece before it failed. `held` (its tensors) is let go with the join, whose memory then goes to what is
  /// submitted later, or without one when the piece has ended. A failure is reported by the wait after the join, or
  /// by one that comes after it has happened.
  virtual std::shared_ptr<Aside> submit_aside(const char* op, std::function<void(Stream&)> work,
                                              std::shared_ptr<void> held) = 0;
};

inline AsideStream& aside_of(Stream& stream) {
  auto* found = dynamic_cast<AsideStream*>(&stream);
  if (found == nullptr)
    throw Error("ERR_INTERNAL", name_of(stream.device()) + ": nothing runs beside its stream");
  return *found;
}

}  // namespace srpo
