// Data for reward models: JSONL, one object a line, in the form of its kind:
//   helpful  {"prompt": "...", "chosen": "...", "rejected": "..."}                  which of two replies is better
//   safety   {"prompt": "...", "completion": "...", "label": true}                  true: safe
//   process  {"prompt": "...", "completions": ["...", "..."], "labels": [true, false]}   steps of one reply, right or
//   not
// A helpful pair may also be conversations that differ in the last reply, as TRL has them, or the dialogues of hh-rlhf:
//   {"prompt": [messages], "chosen": [messages], "rejected": [messages]}            the prompt may stand in both
//   instead
//   {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}
// in the model's own format (data/model_text.h); prompts are user content without markers, replies and steps are the
// assistant's text. Whole replies end with the token that ends a reply, where their value is read. Other keys are
// ignored. Errors (kBadInput) name file, line and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/model_text.h"

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
                                                   const ModelText& text);
Result<std::vector<RewardExample>> LoadRewardData(const std::string& path, RewardKind kind, const ModelText& text);

// Is this prompt among the `share` of prompts that are kept for measuring? A pure function of its text.
bool IsHeldOutPrompt(std::string_view prompt, double share);

}  // namespace r1
