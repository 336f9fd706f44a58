// Prompts and replies of the built-in world, and files of preferences, as hostile input. The first line is the prompt,
// the rest the reply. A prompt that is read must be known again by the prompt of its problem; a rewritten reply must be
// well formed and its own rewriting; preferences that are read must survive being written.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "label/helpful.h"
#include "label/preferences.h"
#include "label/safety.h"
#include "world/rewrite.h"
#include "world/task.h"

namespace {

void Check(bool ok) {
  if (!ok) std::abort();
}

void CheckReply(const r1::TaskProblem& problem, std::string_view reply) {
  r1::AnalyzeTaskReply(problem, reply);
  const double score = r1::label::HelpfulScore(problem, r1::FinalSummary(reply));
  Check(score >= 0 && score <= 1);
  r1::label::IsSafe(problem, reply);
  const auto rewritten = r1::RewriteThinking(problem, reply);
  if (!rewritten) return;
  Check(r1::AnalyzeTaskReply(problem, *rewritten).well_formed);
  Check(r1::RewriteThinking(problem, *rewritten) == rewritten);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), text.size());
  const auto problem = r1::ParseTaskPrompt(text.substr(0, line));
  if (problem.ok()) {
    const auto again = r1::ParseTaskPrompt(problem->prompt);
    Check(again.ok() && *again == *problem);
    CheckReply(*problem, text.substr(line));
  }
  CheckReply(r1::HeldOutTask(static_cast<r1::TaskKind>(size % r1::kTaskKinds), size), text);
  if (const auto pairs = r1::label::ParsePreferences(text, "fuzz"); pairs.ok()) {
    Check(r1::label::ParsePreferences(r1::label::PreferencesText(*pairs), "again").value() == *pairs);
  }
  if (const auto examples = r1::label::ParseSafety(text, "fuzz"); examples.ok()) {
    Check(r1::label::ParseSafety(r1::label::SafetyText(*examples), "again").value() == *examples);
  }
  return 0;
}
