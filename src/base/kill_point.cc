#include "base/kill_point.h"

#include <signal.h>

#include <charconv>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

namespace r1 {
namespace {

std::mutex g_mutex;
std::string g_name;
long g_left = 0;

void Arm(std::string_view spec) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  g_left = 1;
  const size_t colon = spec.rfind(':');
  g_name = spec.substr(0, colon);
  if (colon != std::string_view::npos) std::from_chars(spec.data() + colon + 1, spec.data() + spec.size(), g_left);
  internal::kill_points_armed = !g_name.empty();
}

[[maybe_unused]] const bool g_read_environment = [] {
  if (const char* spec = std::getenv("R1_KILL_AT"); spec != nullptr) Arm(spec);
  return true;
}();

}  // namespace

namespace internal {

constinit std::atomic<bool> kill_points_armed{false};

void KillPointPassed(const char* name) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_name == name && --g_left == 0) raise(SIGKILL);
}

}  // namespace internal

void ArmKillPoint(const char* spec) { Arm(spec); }

}  // namespace r1
