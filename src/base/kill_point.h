// Places where a test may kill the process: R1_KILL_AT="name" sends SIGKILL to itself at the first pass of that place,
// "name:n" at the n-th. Costs one load when the variable is not set.
#pragma once

#include <atomic>

namespace r1 {

namespace internal {
extern std::atomic<bool> kill_points_armed;
void KillPointPassed(const char* name);
}  // namespace internal

inline void KillPoint(const char* name) {
  if (internal::kill_points_armed.load(std::memory_order_relaxed)) internal::KillPointPassed(name);
}

// As if the environment variable had this value (forked tests); "" disarms.
void ArmKillPoint(const char* spec);

}  // namespace r1
