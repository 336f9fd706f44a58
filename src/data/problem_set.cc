#include "data/problem_set.h"

#include <initializer_list>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"

namespace r1 {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{4} << 30;
constexpr size_t kMaxLineBytes = size_t{16} << 20;

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

Result<Problem> ParseLine(std::string_view text, int64_t line, std::string_view source,
                          const ProblemSetOptions& options) {
  const std::string where = std::string(source) + " line " + std::to_string(line);
  R1_ASSIGN(const Json object, ParseJson(text, where));
  if (!object.is_object())
    return Bad(where, "a JSON object is wanted, like {\"prompt\": \"...\", \"solution\": \"...\"}");
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
    problem.solution = solution->get<std::string>();
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
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (jsonl.starts_with(kByteOrderMark)) jsonl.remove_prefix(kByteOrderMark.size());
  std::vector<Problem> problems;
  int64_t line = 0;
  for (size_t begin = 0; begin < jsonl.size();) {
    const size_t newline = jsonl.find('\n', begin);
    const size_t end = newline == std::string_view::npos ? jsonl.size() : newline;
    const std::string_view text = jsonl.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (text.size() > kMaxLineBytes) {
      return Bad(std::string(where) + " line " + std::to_string(line), "longer than 16 MiB");
    }
    R1_ASSIGN(Problem problem, ParseLine(text, line, where, options));
    problems.push_back(std::move(problem));
  }
  if (problems.empty()) return Bad(std::string(where), "no problems in it");
  return problems;
}

Result<std::vector<Problem>> LoadProblems(const std::string& path, const ProblemSetOptions& options) {
  if (path.ends_with(".gz")) return Bad(Quote(path), "compressed files are not read; unpack it with gunzip first");
  R1_ASSIGN(const std::string text, ReadFile(path, kMaxFileBytes));
  return ParseProblems(text, path, options);
}

}  // namespace r1
