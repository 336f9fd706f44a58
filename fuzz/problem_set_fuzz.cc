// A JSONL problem set as hostile input: an error with a message, or problems whose prompts are not empty and whose line
// numbers increase.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "data/problem_set.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto problems = r1::ParseProblems(text, "fuzz", {.solution_required = size % 2 == 0});
  if (!problems.ok()) {
    if (problems.error().message.empty()) std::abort();
    return 0;
  }
  int64_t line = 0;
  for (const r1::Problem& problem : *problems) {
    if (problem.prompt.empty() || problem.line <= line) std::abort();
    line = problem.line;
  }
  return 0;
}
