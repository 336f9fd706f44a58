// Data for reward models: JSONL, one object a line, in the form of its kind:
//   helpful  {"prompt": "...", "chosen": "...", "rejected": "..."}                  which of two replies is better
//   safety   {"prompt": "...", "completion": "...", "label": true}                  true: safe
//   process  {"prompt": "...", "completions": ["...", "..."], "labels": [true, false]}   steps of one reply, right or
//   not
// in the template of data/chat.h; prompts are user content without markers, replies and steps are the assistant's text.
// Whole replies end with <|end|>. Other keys are ignored. Errors (kBadInput) name file, line and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

enum class RewardKind { kHelpful, kSafety, kProcess };
const char* RewardKindName(RewardKind kind);  // "helpful" "safety" "process"
std::optional<RewardKind> RewardKindFromName(std::string_view name);

struct ScoredText {
  std::vector<int32_t> tokens;  // prompt and reply
  std::vector<int32_t> ends;    // a value is read after tokens[0 .. end) for each; the last is the whole text
};
struct RewardExample {
  std::string prompt;
  std::vector<ScoredText> texts;  // helpful: chosen, rejected; else one
  std::vector<bool> labels;       // one for each end of the text; helpful: none
};

// `where` names the source in errors.
Result<std::vector<RewardExample>> ParseRewardData(std::string_view jsonl, std::string_view where, RewardKind kind,
                                                   const Tokenizer& tokenizer);
Result<std::vector<RewardExample>> LoadRewardData(const std::string& path, RewardKind kind, const Tokenizer& tokenizer);

// Is this prompt among the `share` of prompts that are kept for measuring? A pure function of its text.
bool IsHeldOutPrompt(std::string_view prompt, double share);

}  // namespace r1
