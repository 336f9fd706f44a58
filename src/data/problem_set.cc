#include "data/problem_set.h"

#include <initializer_list>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "data/jsonl.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// The value under one of several names; an error if it stands there under two of them. nullptr if under none.
Result<const Json*> Find(const Json& object, std::initializer_list<const char*> names, const std::string& where) {
  const Json* found = nullptr;
  const char* found_name = nullptr;
  for (const char* name : names) {
    const auto entry = object.find(name);
    if (entry == object.end() || entry->is_null()) continue;
    if (found != nullptr) {
      return Bad(where, std::string("'") + found_name + "' and '" + name + "' mean the same; keep one");
    }
    found = &*entry;
    found_name = name;
  }
  return found;
}

// GSM8K ends a worked solution with a line "#### ANSWER".
std::string AnswerOf(std::string solution) {
  constexpr std::string_view kMark = "####";
  const size_t text_end = solution.find_last_not_of(" \t\r\n");
  if (text_end == std::string::npos) return solution;
  const size_t line = solution.rfind('\n', text_end) + 1;  // 0 if there is none
  if (solution.compare(line, kMark.size(), kMark) != 0) return solution;
  const size_t begin = solution.find_first_not_of(" \t", line + kMark.size());
  return begin > text_end ? solution : solution.substr(begin, text_end + 1 - begin);
}

Result<Problem> ParseLine(const Json& object, int64_t line, const std::string& where,
                          const ProblemSetOptions& options) {
  Problem problem;
  problem.line = line;
  R1_ASSIGN(const Json* prompt, Find(object, {"prompt", "question", "problem"}, where));
  if (prompt == nullptr) return Bad(where, "there is no 'prompt' (or 'question', 'problem')");
  if (!prompt->is_string()) return Bad(where, std::string("the prompt is a ") + prompt->type_name() + ", not a string");
  problem.prompt = prompt->get<std::string>();
  if (problem.prompt.empty()) return Bad(where, "the prompt is empty");
  R1_ASSIGN(const Json* solution, Find(object, {"solution", "answer", "label", "ground_truth"}, where));
  if (solution == nullptr) {
    if (options.solution_required) {
      return Bad(where, "there is no 'solution' (or 'answer', 'label', 'ground_truth')");
    }
  } else if (solution->is_string()) {
    problem.solution = AnswerOf(solution->get<std::string>());
  } else if (solution->is_number() || solution->is_boolean()) {
    problem.solution = ToLineText(*solution);
  } else {
    return Bad(where, std::string("the solution is an ") + solution->type_name() + ", not a string or a number");
  }
  if (const auto metadata = object.find("metadata"); metadata != object.end() && !metadata->is_null()) {
    if (!metadata->is_object()) return Bad(where, "'metadata' is not an object");
    problem.metadata = ToLineText(*metadata);
  }
  return problem;
}

}  // namespace

Result<std::vector<Problem>> ParseProblems(std::string_view jsonl, std::string_view where,
                                           const ProblemSetOptions& options) {
  std::vector<Problem> problems;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t line, const std::string& at) -> Status {
    R1_ASSIGN(Problem problem, ParseLine(object, line, at, options));
    problems.push_back(std::move(problem));
    return {};
  }));
  if (problems.empty()) return Bad(std::string(where), "no problems in it");
  return problems;
}

Result<std::vector<Problem>> LoadProblems(const std::string& path, const ProblemSetOptions& options) {
  R1_ASSIGN(const std::string text, ReadJsonl(path));
  return ParseProblems(text, path, options);
}

}  // namespace r1
