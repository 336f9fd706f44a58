#include "base/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace r1 {
namespace {

std::atomic<int> g_requests{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

void OnSignal(int) {
  if (g_requests.fetch_add(1) >= 1) _exit(130);
}

}  // namespace

void InstallInterruptHandler() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
}

bool Interrupted() { return g_requests.load(std::memory_order_relaxed) > 0; }
void RequestInterrupt() { g_requests.fetch_add(1); }
void ClearInterrupt() { g_requests = 0; }

}  // namespace r1
