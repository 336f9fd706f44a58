// Problem sets for reinforcement learning and evaluation: JSONL, one object a line,
//   {"prompt": "...", "solution": "...", "metadata": {...}}
// where prompt may be called question or problem, and solution answer, label or ground_truth. A solution may be a
// number or true/false; it is kept as its JSON text. Of a worked solution whose last line begins with "####" (GSM8K)
// the answer is what follows there. Other keys are ignored, blank lines too. Errors (kBadInput) name file, line and
// key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

struct Problem {
  std::string prompt;
  std::string solution;  // "" if the line has none
  std::string metadata;  // JSON text of the object, or ""
  int64_t line = 0;      // 1-based
};

struct ProblemSetOptions {
  bool solution_required = true;
};

// `where` names the source in errors.
Result<std::vector<Problem>> ParseProblems(std::string_view jsonl, std::string_view where,
                                           const ProblemSetOptions& options = {});
// Plain files; a .gz file is refused by name.
Result<std::vector<Problem>> LoadProblems(const std::string& path, const ProblemSetOptions& options = {});

}  // namespace r1
