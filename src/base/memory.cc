#include "base/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "base/cgroup.h"
#include "base/files.h"

namespace r1 {
namespace {

constexpr int64_t kMapFrom = int64_t{4} << 20;
constexpr int64_t kHugePage = int64_t{2} << 20;

int64_t MapBytes(int64_t bytes) { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

// A line "Key:   123 kB" of a /proc file, in bytes; 0 if absent.
int64_t ProcKilobytes(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) == 0) return std::atoll(line.c_str() + key.size()) * 1024;
  }
  return 0;
}

}  // namespace

void* AllocateZeroed(int64_t bytes) {
  if (bytes <= 0 || bytes > (int64_t{1} << 47)) return nullptr;
  if (bytes < kMapFrom) {
    const size_t rounded = static_cast<size_t>((bytes + 63) / 64 * 64);
    void* pointer = std::aligned_alloc(64, rounded);
    if (pointer != nullptr) std::memset(pointer, 0, rounded);
    return pointer;
  }
  // One huge page more than needed, so that the block can begin at a huge page; the ends are given back.
  const size_t wanted = static_cast<size_t>(MapBytes(bytes)), mapped = wanted + static_cast<size_t>(kHugePage);
  void* base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(base);
  const uintptr_t aligned = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (aligned > begin) munmap(base, aligned - begin);
  const uintptr_t tail = begin + mapped - (aligned + wanted);
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + wanted), tail);
  void* pointer = reinterpret_cast<void*>(aligned);
  madvise(pointer, wanted, MADV_HUGEPAGE);  // advice only: where it is refused, small pages do
  return pointer;
}

void FreeAllocated(void* pointer, int64_t bytes) {
  if (bytes < kMapFrom) {
    std::free(pointer);
  } else {
    munmap(pointer, static_cast<size_t>(MapBytes(bytes)));
  }
}

Error OutOfMemoryError(int64_t bytes) {
  return Error{ErrorCode::kTryAgain,
               fmt::format("out of memory: {} wanted, {} free; use a smaller batch or model, or end other programs",
                           BytesText(bytes), BytesText(FreeMemoryBytes()))};
}

void OutOfMemory(int64_t bytes) {
  std::fprintf(stderr, "r1: error: %s\n", OutOfMemoryError(bytes).message.c_str());
  std::fflush(stderr);
  std::_Exit(static_cast<int>(ErrorCode::kTryAgain));
}

int64_t PeakRssBytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<int64_t>(usage.ru_maxrss) * 1024 : 0;
}

int64_t TotalMemoryBytes() {
  const int64_t machine = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const int64_t limit = CgroupMemoryLimit("");
  return limit > 0 ? std::min(limit, machine) : machine;
}

int64_t FreeMemoryBytes() {
  const int64_t machine = ProcKilobytes("/proc/meminfo", "MemAvailable:");
  const int64_t limit = CgroupMemoryLimit("");
  if (limit <= 0) return machine;
  return std::min(machine, std::max<int64_t>(0, limit - ProcKilobytes("/proc/self/status", "VmRSS:")));
}

}  // namespace r1
