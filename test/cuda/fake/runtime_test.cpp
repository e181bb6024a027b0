// runtime_test: cuda/runtime on a pretended card, a line a case, exit 1 if one failed.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "cpp/core/aside.h"
#include "cpp/core/runtime.h"
#include "cpp/core/tensor.h"
#include "cpp/ops/op_table.h"
#include "cuda/common/launch_config.h"
#include "cuda/op_table.h"
#include "cuda/runtime/device.h"
#include "cuda_runtime.h"

namespace srpo::cuda {

const OpTable& op_table() {
  static const OpTable none;
  return none;
}

namespace {

constexpr Device kCard{DeviceKind::kCuda, 0};

Stream& stream() {
  return stream_of(kCard);
}
cudaStream_t native() {
  return static_cast<cudaStream_t>(stream().native());
}

/// What the wait of this thread reports; empty if all is well.
std::string waited() {
  std::promise<std::exception_ptr> told;
  stream().when_done([&](std::exception_ptr failure) { told.set_value(failure); });
  try {
    const std::exception_ptr failure = told.get_future().get();
    if (failure) std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() + " " + error.what();
  }
  return "";
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}
void expect_text(const std::string& got, const std::string& part) {
  expect(got.find(part) != std::string::npos, "expected \"" + part + "\" in \"" + got + "\"");
}

std::string register_text(fake::Machine machine) {
  fake::machine = machine;
  register_devices();
  return description();
}

fake::Machine with(std::vector<std::pair<const char*, int>> cards, int driver = 13000) {
  fake::Machine machine;
  machine.driver = driver;
  for (const auto& [name, capability] : cards) {
    cudaDeviceProp& card = machine.cards[machine.count++];
    card = {"", size_t{64} << 20, capability / 10, capability % 10, 132, 1};
    std::strcpy(card.name, name);
  }
  return machine;
}

void numbers_are_free_at_once() {
  std::vector<float> numbers(70000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const Tensor t = Tensor::empty({70000}, DType::kFloat32, kCard);
  stream().copy_from_host(t->pointer, numbers.data(), numbers.size() * 4);
  std::fill(numbers.begin(), numbers.end(), -1.f);
  std::vector<float> back(numbers.size(), -2.f);
  stream().copy_to_host(back.data(), t->pointer, back.size() * 4);
  expect(waited().empty(), "a wait failed");
  for (size_t i = 0; i < back.size(); ++i) expect(back[i] == static_cast<float>(i), "a number");
}

void large_copies_go_in_pieces() {
  const size_t bytes = 100'000'019;  // more than the ring, and no whole segment
  std::vector<char> there(bytes), back(bytes);
  for (size_t i = 0; i < bytes; ++i) there[i] = static_cast<char>(i * 31 >> 7);
  const Tensor t = Tensor::empty({static_cast<int64_t>(bytes)}, DType::kUInt8, kCard);
  stream().copy_from_host(t->pointer, there.data(), bytes);
  stream().copy_to_host(back.data(), t->pointer, bytes);
  expect(waited().empty() && there == back, "other bytes came back");
}

/// What beginning a profile says; empty if one has begun.
std::string begun(const char* timer) {
  try {
    stream().profile_begin(timer);
  } catch (const Error& error) {
    return error.code() + " " + error.what();
  }
  return "";
}

void pieces_are_timed_by_events() {
  expect_text(
      begun("clock"),
      "ERR_CONFIG profile: timer: expected auto, cupti, events or nvtx on cuda:0, got clock");
  expect_text(begun("cupti"), "ERR_CONFIG profile: timer: expected libcupti, got none: ");
  expect(begun("auto").empty(), "no profile has begun");
  expect_text(begun("events"), "expected one at a time on cuda:0, got a second");
  const auto sleeping = [](int ms) {
    fake::launch(native(), [ms] { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); });
  };
  const Tensor t = Tensor::empty({64}, DType::kFloat32, kCard);
  stream().range_push("stage");
  stream().submit("long", [&] { sleeping(20); });
  stream().submit("short", [&] {
    sleeping(1);
    stream().zero(t->pointer, 256);  // a part of the piece
  });
  stream().range_pop();
  stream().zero(t->pointer, 256);
  expect(stream().profile_size() == 3, "other pieces than three");
  expect(waited().empty(), "a wait failed");
  const Profile taken = stream().profile_end();
  expect(taken.timer == "events" && taken.kernels.empty(), "timed by " + taken.timer);
  expect(taken.pieces.size() == 3 && stream().profile_size() == 0, "other pieces than three");
  int64_t at = taken.origin;
  for (const TimedPiece& piece : taken.pieces) {
    expect(piece.begin >= at - 1000 && piece.end >= piece.begin,
           std::string(piece.op) + ": its time");
    at = piece.end;
  }
  const auto took = [&](int i) { return (taken.pieces[i].end - taken.pieces[i].begin) / 1000000; };
  expect(taken.pieces[0].op == std::string("long") && took(0) >= 20 && took(0) < 500, "long");
  expect(took(1) >= 1 && took(1) < 200 && taken.pieces[2].op == std::string("zero"), "short");
  stream().submit("after", [&] { sleeping(0); });
  expect(waited().empty() && stream().profile_size() == 0, "it goes on after its end");
  expect(begun("nvtx").empty(), "no profile has begun");
  stream().submit("one", [&] { sleeping(0); });
  expect(waited().empty(), "a wait failed");
  const Profile unseen = stream().profile_end();
  expect(unseen.timer == "nvtx" && unseen.pieces.size() == 1 && unseen.pieces[0].end == 0, "nvtx");
}

void a_step_waits_for_nothing() {
  const std::vector<float> numbers(33, 1.5f);
  std::atomic<int> wrong = 0;
  const auto step = [&] {
    for (int i = 0; i < 100; ++i) {
      const Tensor y = Tensor::empty({1000 + i}, DType::kFloat32, kCard);
      const Tensor large = Tensor::empty({1 << 19}, DType::kFloat32, kCard);
      stream().submit("op", [&] {
        const auto* given =
            static_cast<const float*>(stream().scratch(numbers.size() * 4, numbers.data()));
        int64_t* word = stream().complaint();
        float* to = y->data<float>();
        fake::launch(native(), [given, to, &wrong] {
          for (int k = 0; k < 33; ++k) wrong += given[k] != 1.5f;
          to[0] = given[0];
        });
        stream().heed(word, [](int64_t) { throw Error("ERR_RANGE", "never"); });
      });
    }
  };
  step();
  expect(waited().empty(), "the first step failed");
  fake::hold(true);
  fake::watch();
  step();
  const fake::Waits waits = fake::waits();
  fake::hold(false);
  expect(waited().empty() && wrong == 0, "the second step went wrong");
  expect(waits.pinned == 0 && waits.memory == 0 && waits.synchronized == 0,
         "it allocated pinned memory " + std::to_string(waits.pinned) + " times, memory " +
             std::to_string(waits.memory) + " times, waited " + std::to_string(waits.synchronized) +
             " times");
}

void a_failed_piece_is_told_once() {
  int ran = 0;
  stream().submit("linear", [] { throw Error("ERR_SHAPE", "launch: grid: too large"); });
  stream().submit("add", [&] { ++ran; });
  std::thread other([&] {
    stream().submit("mul", [&] { ran += 10; });
    expect(waited().empty(), "another environment's wait failed");
  });
  other.join();
  expect_text(waited(), "ERR_SHAPE linear: launch: grid: too large");
  expect(ran == 10, "a piece after the failed one ran");
  stream().submit("add", [&] { ++ran; });
  expect(waited().empty() && ran == 11, "the stream is not usable again");
}

void complain(const char* op, int64_t what) {
  stream().submit(op, [=] {
    int64_t* word = stream().complaint();
    fake::launch(native(), [word, what] { *word = what; });
    stream().heed(word, [](int64_t it) {
      throw Error("ERR_RANGE", "ids: expected 0 to 9, got " + std::to_string(it));
    });
  });
}

void complaints_come_with_the_wait() {
  complain("embedding", 0);
  complain("embedding", 12);
  complain("softmaxCrossEntropy", 13);
  std::thread other([] { expect(waited().empty(), "another environment heard of it"); });
  other.join();
  expect_text(waited(), "ERR_RANGE embedding: ids: expected 0 to 9, got 12");
  expect(waited().empty(), "it was told twice");
  complain("embedding", 0);
  expect(waited().empty(), "a word was used again with what it said before");
}

bool launched_early() {
  for (const cudaLaunchAttribute& attribute : fake::last_attributes())
    if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization)
      return attribute.val.programmaticStreamSerializationAllowed == 1;
  return false;
}

void kernels_begin_early_behind_kernels() {
  std::string order;
  const auto start = [&](char name, bool early = true, bool together = false) {
    stream().submit("op", [&, name, early, together] {
      const fake::Kernel kernel = {[&order, name] { order += name; },
                                   [&order, name] { order += static_cast<char>(name - 32); }};
      launch_kernel(
          &kernel,
          {.grid = 1, .block = 32, .early = early, .together = together, .stream = stream()},
          nullptr);
    });
    return launched_early();
  };
  const Tensor t = Tensor::empty({4}, DType::kFloat32, kCard);
  const std::vector<float> four(4);
  fake::hold(true);
  stream().zero(t->pointer, 16);
  expect(!start('a'), "after a memset");
  expect(start('b') && start('c'), "after a kernel");
  stream().copy_from_host(t->pointer, four.data(), 16);
  expect(!start('d'), "after a copy from the host");
  expect(start('e') && !start('f', false), "one that is to begin late");
  expect(start('g'), "after that");
  expect(!start('h', true, true), "one whose blocks run together");
  stream().copy(t->pointer, t->pointer, 16);
  expect(!start('i'), "after a copy");
  stream().submit("op", [&] { stream().scratch(16, four.data()); });
  expect(!start('j'), "after numbers of an op");
  stream().native();
  expect(!start('k'), "after whatever another library enqueues");
  expect(start('l'), "after a kernel again");
  fake::hold(false);
  expect(waited().empty(), "a wait failed");
  // What an early one sets up runs before the kernel before it, and nothing runs twice or not at all.
  expect_text(order, "abAcBCdeDEfgFGhHiIjJklKL");
  stream().submit("op", [&] {
    const fake::Kernel nothing = {[] {}, [] {}};
    launch_kernel(&nothing, {.grid = 2, .block = 32, .cluster = 2, .stream = stream()}, nullptr);
  });
  expect(launched_early() && fake::last_attributes().size() == 2, "clusters");
  expect(waited().empty(), "a wait failed");
}

void freed_memory_is_behind_its_last_reader() {
  std::vector<float> back(1 << 19);
  fake::hold(true);
  {
    const Tensor t = Tensor::zeros({1 << 19}, DType::kFloat32, kCard);
    stream().copy_to_host(back.data(), t->pointer, back.size() * 4);
  }
  const Tensor other = Tensor::empty({1 << 19}, DType::kFloat32, kCard);
  stream().copy_from_host(other->pointer, std::vector<float>(1 << 19, 7.f).data(), 4 << 19);
  fake::hold(false);
  expect(waited().empty(), "a wait failed");
  for (const float each : back) expect(each == 0.f, "memory was given away too early");
}

void out_of_memory_is_explained() {
  set_memory_label("weights");
  const Tensor weights = Tensor::empty({600 << 20}, DType::kUInt8, kCard);
  set_memory_label(nullptr);
  set_memory_op("attention");
  const Tensor q = Tensor::empty({200 << 20}, DType::kUInt8, kCard);
  set_memory_op("linear");
  std::string text;
  try {
    Tensor::empty({400 << 20}, DType::kUInt8, kCard);
  } catch (const Error& error) {
    text = error.code() + " " + error.what();
  }
  expect_text(text, "ERR_OUT_OF_MEMORY cuda:0: asked for 400 MiB (linear) with ");
  expect_text(text, " free of 1024 MiB; in use ");
  expect_text(text, "(weights 600 MiB, attention 200 MiB");
  stream().submit("norm", [] { stream().scratch(size_t{400} << 20, nullptr); });
  expect_text(waited(), "ERR_OUT_OF_MEMORY norm: cuda:0: asked for 400 MiB (norm)");
}

void an_environment_leaves() {
  std::vector<char> back(3 << 20, 1);
  const Tensor t = Tensor::zeros({3 << 20}, DType::kUInt8, kCard);
  std::thread other([&] {
    stream().copy_to_host(back.data(), t->pointer, back.size());
    complain("embedding", 5);
    stream().leave();
    for (const char each : back) expect(each == 0, "it left before its copy ended");
  });
  other.join();
  expect(waited().empty(), "what it left behind was told to another");
}

/// Where work beside the stream runs.
cudaStream_t side() {
  static cudaStream_t found = nullptr;
  if (found != nullptr) return found;
  aside_of(stream()).submit_aside(
      "find",
      [](Stream& it) {
        expect(it.device() == kCard, "of another device");
        found = static_cast<cudaStream_t>(it.native());
      },
      nullptr);
  expect(waited().empty(), "a wait failed");
  return found;
}

/// A kernel beside the stream.
std::shared_ptr<Aside> aside(const char* op, std::function<void()> kernel) {
  return aside_of(stream()).submit_aside(
      op,
      [kernel = std::move(kernel)](Stream& it) {
        fake::launch(static_cast<cudaStream_t>(it.native()), kernel);
      },
      nullptr);
}
void in_order(const char* op, std::function<void()> kernel) {
  stream().submit(op, [kernel = std::move(kernel)] { fake::launch(native(), kernel); });
}
/// Long enough for what is free to run to have run.
void pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void work_beside_has_its_place() {
  expect(side() != native(), "one stream for both");
  expect(fake::priority_of(side()) < fake::priority_of(native()), "it does not go first");
  expect(fake::flags_of(side()) == cudaStreamNonBlocking, "it waits for the default stream");
  std::atomic<int> before = 0, seen = -1, after = 0, behind = -1;
  fake::hold(native(), true);
  fake::watch();
  in_order("before", [&] { before = 1; });
  const auto first = aside("first", [&] { seen = before.load(); });
  const auto second = aside("second", [&] { seen = seen * 10 + 2; });
  pause();
  expect(seen == -1, "it ran before what it comes after");
  fake::hold(side(), true);
  fake::hold(native(), false);
  in_order("after", [&] { after = 1; });
  expect(waited().empty() && after == 1 && seen == -1, "it is not beside the stream");
  second->join();
  second->join();
  in_order("behind", [&] { behind = seen.load(); });
  pause();
  expect(behind == -1, "the stream went on without it");
  expect(fake::waits().synchronized == 0, "a join waited");
  fake::hold(side(), false);
  expect(waited().empty() && behind == 12, "the stream is not behind it");
}

void memory_beside_is_kept() {
  const size_t used = backend_of(kCard).pool->stats().in_use;
  for (const int64_t n : {1000, 1 << 20})
    for (const bool joins : {true, false}) {
      std::atomic<int> wrong = 0;
      Tensor t = Tensor::empty({n}, DType::kFloat32, kCard);
      const float* data = t->data<float>();
      in_order("write", [=] { std::fill_n(const_cast<float*>(data), n, 3.f); });
      fake::hold(side(), true);
      auto piece = aside_of(stream()).submit_aside(
          "gather",
          [&wrong, data, n](Stream& it) {
            const int32_t one = 1;
            const auto* given = static_cast<const int32_t*>(it.scratch(4, &one));
            auto* more = static_cast<float*>(it.scratch(size_t{4} << 20, nullptr));
            fake::launch(static_cast<cudaStream_t>(it.native()), [=, &wrong] {
              more[1000] = 5;
              for (int64_t i = 0; i < n; ++i)
                wrong += data[i] != 3.f || *given != 1 || more[1000] != 5;
            });
          },
          std::make_shared<Tensor>(t));
      t = {};
      const auto overwrite = [n] {
        for (int i = 0; i < 2; ++i) {
          const Tensor other =
              Tensor::empty({i == 0 ? n : int64_t{1} << 20}, DType::kFloat32, kCard);
          stream().zero(other->pointer, static_cast<size_t>(other->bytes()));
        }
        stream().submit("norm", [] {
          int32_t* const word = static_cast<int32_t*>(stream().scratch(4, nullptr));
          fake::launch(native(), [word] { *word = 77; });
        });
      };
      overwrite();  // on other memory
      expect(waited().empty(), "a wait failed");
      if (joins) piece->join();
      piece.reset();
      overwrite();  // on the same, behind it
      fake::hold(side(), false);
      expect(waited().empty() && wrong == 0, "memory was given away too early");
    }
  expect(backend_of(kCard).pool->stats().in_use == used, "memory was not given back");
}

void failures_beside_are_told() {
  int ran = 0;
  const auto fails = [](Stream&) { throw Error("ERR_NCCL", "ncclReduceScatter: no"); };
  const auto counts = [&](Stream&) { ++ran; };
  auto failed = aside_of(stream()).submit_aside("reduceScatter", fails, nullptr);
  auto later = aside_of(stream()).submit_aside("allGather", counts, nullptr);
  stream().submit("adamw", [&] { ++ran; });
  expect_text(waited(), "ERR_NCCL reduceScatter: ncclReduceScatter: no");
  expect(ran == 0 && waited().empty(), "what came after it ran, or it was told twice");
  later->join();
  stream().submit("adamw", [&] { ++ran; });
  expect_text(waited(), "ERR_NCCL reduceScatter: ");
  expect(ran == 0, "what stands behind a piece that was skipped ran");

  stream().submit("linear", [] { throw Error("ERR_SHAPE", "no"); });
  auto skipped = aside_of(stream()).submit_aside("allGather", counts, nullptr);
  expect_text(waited(), "ERR_SHAPE linear: no");
  skipped.reset();
  aside_of(stream()).submit_aside("allGather", counts, nullptr)->join();
  expect(waited().empty() && ran == 1, "the stream is not usable again");
}

void a_profile_shows_the_wait() {
  expect(begun("events").empty(), "no profile has begun");
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  const auto piece = aside("gather", sleep);
  in_order("short", [] {});
  piece->join();
  expect(waited().empty(), "a wait failed");
  const Profile taken = stream().profile_end();
  expect(taken.pieces.size() == 2, "other pieces than two");
  const TimedPiece brief = taken.pieces[0], wait = taken.pieces[1];
  expect(brief.op == std::string("short") && wait.op == std::string("wait"), "their names");
  expect(wait.end - taken.origin >= 20'000'000, "its end");
}

void an_environment_leaves_work_beside() {
  std::atomic<bool> ran = false;
  const Tensor t = Tensor::zeros({100}, DType::kFloat32, kCard);
  std::thread other([&] {
    const auto piece = aside_of(stream()).submit_aside(
        "gather",
        [&](Stream& it) {
          fake::launch(static_cast<cudaStream_t>(it.native()), [&] {
            pause();
            ran = true;
          });
        },
        std::make_shared<Tensor>(t));
    stream().leave();
    expect(ran, "it left before its work beside had ended");
  });
  other.join();
  expect(waited().empty(), "a wait failed");
}

void a_fault_is_told_and_nothing_hangs() {
  const Tensor t = Tensor::zeros({1000}, DType::kFloat32, kCard);
  expect(waited().empty(), "a wait failed");
  std::vector<float> back(1000);
  const auto beside =
      aside("allGather", [] {});  // which may run for longer than what was waited for
  expect(waited().empty(), "a wait failed");
  stream().submit("modulatedLayerNorm", [] {});
  stream().submit("attention", [] { fake::launch_fault(native()); });
  stream().copy_to_host(back.data(), t->pointer, 4000);
  const std::string text = waited();
  expect_text(text,
              "ERR_CUDA cuda:0: cannot be used any more in this process: a kernel failed: "
              "cudaErrorIllegalAddress: an illegal memory access was encountered; it was of "
              "one of these ops: modulatedLayerNorm, attention, copy, allGather; "
              "CUDA_LAUNCH_BLOCKING=1 in the environment tells which");
  bool ran = false;
  stream().submit("add", [&] { ran = true; });
  expect(waited() == text && !ran, "a later wait says something else");
  std::string memory;
  try {
    Tensor::empty({5 << 20}, DType::kUInt8, kCard);
  } catch (const Error& error) {
    memory = error.code();
  }
  expect(memory == "ERR_CUDA", "memory of a lost card: got " + memory);
  enter_environment();
  leave_environment();  // joins the thread that waits
}

void devices_are_named() {
  expect_text(register_text(with({}, 0)), "no NVIDIA driver");
  expect_text(register_text(with({{"NVIDIA H200", 90}}, 12040)),
              "an NVIDIA driver for CUDA 12.4: expected one for CUDA 13.0 or newer");
  expect_text(register_text(with({})), "no NVIDIA card");
}

void cards_are_registered() {
  // What was found before stands: this is a process's one call that finds cards.
  const std::string text = register_text(with({{"NVIDIA H200", 90}, {"NVIDIA L40S", 89}}));
  expect_text(text, "cuda:0: NVIDIA H200, 64 MiB, 132 multiprocessors");
  expect_text(text,
              "cuda:1: NVIDIA L40S, 64 MiB, 132 multiprocessors; not supported: expected compute "
              "capability 9.0 (Hopper: H20, H100, H200), got 8.9");
  note_devices(DeviceKind::kCuda, "found: " + text);
  try {
    backend_of({DeviceKind::kCuda, 1});
    expect(false, "an L40S was taken");
  } catch (const Error& error) {
    expect_text(error.what(), "device: expected one of cuda:0, got cuda:1 (found: ");
  }
}

struct Case {
  const char* name;
  void (*run)();
};
constexpr Case kCases[] = {
    {"drivers and cards that are not there are named", devices_are_named},
    {"a card of another kind is refused by name", cards_are_registered},
    {"host memory of an upload is free at once", numbers_are_free_at_once},
    {"large copies go in pieces", large_copies_go_in_pieces},
    {"a step waits for nothing", a_step_waits_for_nothing},
    {"pieces of a profile are timed by events", pieces_are_timed_by_events},
    {"a failed piece is told once", a_failed_piece_is_told_once},
    {"complaints of kernels come with the wait", complaints_come_with_the_wait},
    {"kernels begin early behind kernels", kernels_begin_early_behind_kernels},
    {"freed memory is behind its last reader", freed_memory_is_behind_its_last_reader},
    {"out of memory is explained", out_of_memory_is_explained},
    {"work beside has its place", work_beside_has_its_place},
    {"memory of work beside is kept", memory_beside_is_kept},
    {"failures beside are told", failures_beside_are_told},
    {"a profile shows the wait for work beside", a_profile_shows_the_wait},
    {"an environment leaves work beside", an_environment_leaves_work_beside},
    {"an environment leaves", an_environment_leaves},
    {"a fault is told and nothing hangs", a_fault_is_told_and_nothing_hangs},
};

}  // namespace
}  // namespace srpo::cuda

int main() {
  int failed = 0, passed = 0;
  for (const auto& [name, run] : srpo::cuda::kCases) {
    std::string why;
    try {
      run();
    } catch (const std::exception& error) {
      why = error.what();
    }
    std::printf(why.empty() ? "ok   %s\n" : "FAIL %s: %s\n", name, why.c_str());
    std::fflush(stdout);
    ++(why.empty() ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  std::fflush(stdout);
  std::_Exit(failed == 0 ? 0 : 1);  // the pretended card's thread goes on
}
