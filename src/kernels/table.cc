// Chooses the kernel table: the best instruction set this machine runs, or the one named by R1_ISA.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/check.h"
#include "kernels/cpu/attention_scratch.h"
#include "kernels/kernels.h"

#if defined(R1_X86)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace r1::kernels {

namespace portable {
const KernelTable& Table();
}
#if defined(R1_X86)
namespace avx2 {
const KernelTable& Table();
}
namespace avx512 {
const KernelTable& Table();
}
namespace amx {
const KernelTable& Table();
}
#endif

namespace {

#if defined(R1_X86)
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("aes") &&
         __builtin_cpu_supports("bmi2");
}

bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}

// Tiles need the processor (leaf 7), the system's saving of their state (XCR0 bits 17 and 18) and
// its permission, which is asked for once a process.
bool HasAmx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!HasAvx512() || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;
  if ((d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0x60000u) != 0x60000u) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

struct Available {
  const KernelTable* table[4] = {};
  const char* name[5] = {};
  int count = 0;
  void Add(const KernelTable& t) {
    table[count] = &t;
    name[count++] = t.isa;
  }
};

const Available& Tables() {
  static const Available kTables = [] {
    Available list;
    list.Add(portable::Table());
#if defined(R1_X86)
    if (HasAvx2()) list.Add(avx2::Table());
    if (HasAvx512()) list.Add(avx512::Table());
    if (HasAmx()) list.Add(amx::Table());
#endif
    return list;
  }();
  return kTables;
}

std::atomic<const KernelTable*> selected{nullptr};

const KernelTable* Default() {
  const char* name = std::getenv("R1_ISA");
  if (name == nullptr || *name == '\0') return Tables().table[Tables().count - 1];
  const KernelTable* table = KernelsFor(name);
  R1_CHECK(table != nullptr, std::string("R1_ISA=") + name + ": unknown, or this machine cannot run it");
  return table;
}

}  // namespace

int64_t AttentionBackwardScratch(int64_t t, int64_t d_qk, int64_t d_v) {
  return AttentionBackwardShape(t, d_qk, d_v).Floats();
}

const KernelTable* KernelsFor(const char* isa) {
  const Available& list = Tables();
  for (int i = 0; i < list.count; ++i) {
    if (std::strcmp(list.name[i], isa) == 0) return list.table[i];
  }
  return nullptr;
}

const char* const* AvailableIsas() { return Tables().name; }

bool SelectIsa(const char* isa) {
  const KernelTable* table = KernelsFor(isa);
  if (table != nullptr) selected.store(table, std::memory_order_release);
  return table != nullptr;
}

const KernelTable& Kernels() {
  const KernelTable* table = selected.load(std::memory_order_acquire);
  if (table == nullptr) {
    table = Default();
    selected.store(table, std::memory_order_release);
  }
  return *table;
}

}  // namespace r1::kernels
