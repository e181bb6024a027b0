#include "cpp/cpu/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

namespace srpo::cpu {
namespace {

bool leaf(unsigned index, unsigned sub, unsigned& a, unsigned& b, unsigned& c, unsigned& d) {
  return __get_cpuid_count(index, sub, &a, &b, &c, &d) != 0;
}

bool amx_granted() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(2)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Isa detect() {
  Isa found;
  // A lower limit than the machine's, for tests of the other paths: generic, avx2 or avx512.
  const char* limit = std::getenv("SRPO_ISA");
  const auto allows = [limit](const char* name) {
    if (limit == nullptr) return true;
    static constexpr const char* kOrder[] = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};
    int asked = 4, wanted = 4;
    for (int i = 0; i < 5; ++i) {
      if (std::strcmp(limit, kOrder[i]) == 0) asked = i;
      if (std::strcmp(name, kOrder[i]) == 0) wanted = i;
    }
    return wanted <= asked;
  };
  found.avx2 = allows("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  found.avx512 = allows("avx512") && found.avx2 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (found.avx512 && leaf(7, 1, a, b, c, d))
    found.avx512_bf16 = allows("avx512_bf16") && (a >> 5 & 1) != 0;
  if (found.avx512 && leaf(7, 0, a, b, c, d))
    found.amx_bf16 = allows("amx") && (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0 && amx_granted();
  return found;
}

}  // namespace

const Isa& isa() {
  static const Isa found = detect();
  return found;
}

namespace {
std::atomic<bool> amx_distrusted{false};
}

void distrust_amx() {
  amx_distrusted = true;
}

const char* isa_text() {
  static const std::string text = [] {
    const Isa& i = isa();
    std::string names = i.avx512 ? "avx512" : i.avx2 ? "avx2" : "generic";
    if (i.avx512_bf16) names += " avx512_bf16";
    if (i.amx_bf16) names += " amx_bf16";
    return names;
  }();
  static const std::string warned = text + " (amx_bf16 failed its check: not used)";
  return amx_distrusted ? warned.c_str() : text.c_str();
}

}  // namespace srpo::cpu
