// conformance [--seeds N] [--list] [--exact NAME] [--dump FILE] [part of a name]: a line a case, exit 1 if
// one failed. --dump writes what each wait finds in the case's buffers, so that the card's bytes can be held
// against the emulation's: a line of case, buffer, elements, bytes of one, f or i with tabs between, then the bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "test/cuda/harness.h"

namespace srpo::cuda::test {
namespace {

#ifdef __CUDACC__
constexpr DeviceKind kKind = DeviceKind::kCuda;
#else
constexpr DeviceKind kKind = DeviceKind::kEmulated;
#endif

/// Kernels started here run on the default stream, at once.
class PlainStream : public Stream {
 public:
  Device device() const override { return {kKind, 0}; }
  void submit(const char*, std::function<void()> work) override { work(); }
  void when_done(std::function<void(std::exception_ptr)> done) override { done(nullptr); }
  void copy_to_host(void* host, const void* device, size_t n) override {
    std::memcpy(host, device, n);
  }
  void copy_from_host(void* device, const void* host, size_t n) override {
    std::memcpy(device, host, n);
  }
  void copy(void* to, const void* from, size_t n) override { std::memmove(to, from, n); }
  void zero(void* device, size_t n) override { std::memset(device, 0, n); }
  KernelPlace kernel_place() override { return {nullptr, true}; }
  /// Kept until the case has ended.
  void* scratch(size_t bytes, const void* contents) override {
    scratch_.push_back(std::make_unique<Buffer<unsigned char>>(bytes, 0xff, false));
    if (contents != nullptr) std::memcpy(scratch_.back()->get(), contents, bytes);
    return scratch_.back()->get();
  }
  void end_case() { scratch_.clear(); }

 private:
  std::vector<std::unique_ptr<Buffer<unsigned char>>> scratch_;
};

std::FILE* dump = nullptr;
const char* running = "";

/// Empty if the case passed, else why not.
std::string failure_of(const Case& c, PlainStream& stream) {
  running = c.name.c_str();
  try {
    c.run(stream);
    finish(stream);
  } catch (const Error& error) {
    stream.end_case();
    return error.what();
  }
  stream.end_case();
  return "";
}

int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  int seeds = 1;
  const char* part = "";
  bool list = false, exact = false;
  for (int i = 1; i < argc; ++i)
    if (std::strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
      seeds = std::atoi(argv[++i]);
    else if (std::strcmp(argv[i], "--list") == 0)
      list = true;
    else if (std::strcmp(argv[i], "--exact") == 0)
      exact = true;
    else if (std::strcmp(argv[i], "--dump") == 0 && i + 1 < argc) {
      if ((dump = std::fopen(argv[++i], "wb")) == nullptr) {
        std::fprintf(stderr, "conformance: cannot write %s\n", argv[i]);
        return 2;
      }
    } else
      part = argv[i];
  std::vector<Case> cases;
  add_primitives(cases);
  add_copies(cases);
  add_early(cases);
  add_products(cases);
  add_turns(cases);
  add_gemm(cases);
  add_gemm_columns(cases);
  add_gemm_heads(cases);
  PlainStream stream;
  int passed = 0, failed = 0;
  for (const Case& c : cases) {
    if (exact ? c.name != part : c.name.find(part) == std::string::npos) continue;
    if (c.defect && kKind == DeviceKind::kCuda) continue;  // a planted deadlock would be a real one
    if (list) {
      std::printf("%s\n", c.name.c_str());
      continue;
    }
    std::string first;
    int caught = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
#ifndef __CUDACC__
      emulation::set_seed(static_cast<uint64_t>(seed));
#endif
      const std::string failure = failure_of(c, stream);
      caught += failure.empty() ? 0 : 1;
      if (first.empty()) first = failure;
    }
    // A defect must show under every schedule or nearly: here, under most of them.
    const bool ok = c.defect ? 2 * caught > seeds : caught == 0;
    ++(ok ? passed : failed);
    std::printf("%s %s%s%.300s\n", ok ? "ok  " : "FAIL", c.name.c_str(), first.empty() ? "" : ": ",
                first.c_str());
  }
  if (dump != nullptr && std::fclose(dump) != 0) return 2;
  if (list) return 0;
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

void finish(Stream&) {
#ifdef __CUDACC__
  const cudaError_t status = cudaDeviceSynchronize();
  if (status != cudaSuccess) throw Error("ERR_CUDA", cudaGetErrorString(status));
#endif
  if (dump == nullptr) return;
  for (size_t i = 0; i < live_buffers().size(); ++i) {
    const Bytes& bytes = live_buffers()[i];
    std::fprintf(dump, "%s\t%zu\t%zu\t%zu\t%c\n", running, i, bytes.count, bytes.size,
                 bytes.floating ? 'f' : 'i');
    std::fwrite(bytes.data, bytes.size, bytes.count, dump);
  }
}

}  // namespace srpo::cuda::test

int main(int argc, char** argv) {
  return srpo::cuda::test::run(argc, argv);
}
