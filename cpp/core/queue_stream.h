#pragma once
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cpp/core/aside.h"
#include "cpp/core/pool.h"
#include "cpp/core/stream.h"

namespace srpo {

/// A stream whose work runs on a thread of its own, for devices whose memory is the host's: cpu and
/// emulated. What runs beside it has a second one, which waits until the first has come to where it was submitted.
class QueueStream : public Stream, public AsideStream {
 public:
  /// `memory`: where scratch lies.
  explicit QueueStream(Device device, MemorySource& memory = host_memory())
      : device_(device), memory_(memory) {}
  ~QueueStream() override { stop(); }

  Device device() const override { return device_; }
  void submit(const char* op, std::function<void()> work) override;
  std::shared_ptr<Aside> submit_aside(const char* op, std::function<void(Stream&)> work,
                                      std::shared_ptr<void> held) override;
  void when_done(std::function<void(std::exception_ptr)> done) override;
  void leave() override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void zero(void* device, size_t bytes) override;
  void* scratch(size_t bytes, const void* contents) override;

  /// Drops what has not begun, waits for what has, ends the thread. A later submit starts it again.
  void stop();

 private:
  /// What a piece came to: nothing, or its failure. Who drops a promise unkept ends the wait for it too.
  using Promise = std::promise<std::exception_ptr>;
  using Future = std::shared_future<std::exception_ptr>;
  struct Item {
    const char* op;
    std::function<void()> work = {};                        // or
    std::function<void(std::exception_ptr)> callback = {};  // the end of a wait, or
    std::shared_ptr<Promise> reached = nullptr;             // where a piece beside was submitted
    std::thread::id owner = {};                             // who enqueued it
    int64_t place = -1;                                     // in a profile, if one is taken
    bool always = false;  // a join: run even after a failure, which stays, and without its owner
    // Of a piece beside another stream:
    Future from = {};                          // that one has come to it
    std::shared_ptr<Promise> ended = nullptr;  // and this is over
    std::exception_ptr failure = nullptr;      // of a piece before it
  };
  class Beside;
  void push(Item item);
  void run();
  std::exception_ptr perform(Item& item, std::exception_ptr failure);
  QueueStream& beside();
  std::exception_ptr take_failure(std::thread::id owner);
  static std::exception_ptr outcome(const Future& future);

  Device device_;
  MemorySource& memory_;
  std::mutex mutex_;
  std::condition_variable ready_, ended_;
  std::deque<Item> items_;
  std::map<std::thread::id, std::exception_ptr> failures_;  // of each owner, not yet reported
  std::thread::id running_;                                 // whose piece has begun, if one has
  std::thread thread_;
  bool stopping_ = false;
  std::mutex aside_mutex_;
  std::unique_ptr<QueueStream> beside_;            // made when first used
  std::vector<std::pair<void*, size_t>> scratch_;  // of the piece that runs; its thread's own
};

}  // namespace srpo
