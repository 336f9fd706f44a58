#include "base/check.h"

#include "r1/result.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace r1 {
namespace {
std::atomic<CheckHandler> g_handler{nullptr};
}  // namespace

CheckHandler SetCheckHandler(CheckHandler handler) { return g_handler.exchange(handler); }

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  if (const CheckHandler handler = g_handler.load(); handler != nullptr) handler(file, line, message);
  std::fprintf(stderr, "r1: internal error at %s:%d: %s (%s). This is a bug; please report it.\n", file, line,
               message.c_str(), condition);
  std::fflush(stderr);
  std::_Exit(70);  // sysexits EX_SOFTWARE; no destructors, since the program's state is not to be trusted
}

void ValueOfError(const std::string& message) { CheckFailed("result", 0, "ok()", message); }

}  // namespace r1
