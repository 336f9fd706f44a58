// Fields of a run's records that say when, where or how fast something was computed, not what. Two runs of the same
// seed may differ in these and in nothing else; `r1 diff-runs` leaves out exactly these.
#pragma once

#include <string_view>

namespace r1 {

// A name ending in '*' stands for every name that begins so; one beginning with '/' counts only at the top of a
// document.
inline constexpr std::string_view kVolatileFields[] = {
    "step_time",
    "time/*",
    "times",
    "time",
    "wall_time",
    "seconds",
    "elapsed*",
    "eta*",
    "started*",
    "finished*",
    "created*",
    "timestamp",
    "date",
    "duration*",
    "tokens_per_second*",
    "samples_per_second",
    "gflops*",
    "mfu",
    "peak_rss*",
    "memory/*",
    "rss*",
    "host*",
    "pid",
    "threads",
    "isa",
    "cores",
    "compiler",
    "command*",
    "output_dir",
    "run_dir",
    "resume*",
    "resumed*",
    "log_level",
    "/name",
    "/path",
};

inline bool IsVolatileField(std::string_view name, bool top_level = false) {
  for (std::string_view pattern : kVolatileFields) {
    if (pattern.front() == '/') {
      if (!top_level) continue;
      pattern.remove_prefix(1);
    }
    if (pattern.back() == '*') {
      pattern.remove_suffix(1);
      if (name.substr(0, pattern.size()) == pattern) return true;
    } else if (name == pattern) {
      return true;
    }
  }
  return false;
}

}  // namespace r1
