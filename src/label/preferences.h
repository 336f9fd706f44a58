// Preference pairs and safety examples from sampled replies: what the reward models learn from. A simulated judge
// stands where the report has a language model (its Section B.3): it sees the final summaries of two replies, prefers
// the better one by the hidden rule, but with noise and with a liking for what it reads first. So each pair is judged
// several times, half of them in either order, and counts only if the mean is clear. All of it is a pure function of
// (replies, options, seed). Texts in pairs and examples are words with one space between, prompts without markers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "world/task.h"

namespace r1::label {

struct PromptReplies {
  TaskProblem problem;
  std::vector<std::string> replies;  // whole ones, as sampled
};

struct PreferencePair {
  std::string prompt;
  std::string chosen, rejected;  // final summaries
  double margin = 0;             // mean judgement for chosen, in (min_margin, 2]
  friend bool operator==(const PreferencePair&, const PreferencePair&) = default;
};

struct SafetyExample {
  std::string prompt;
  std::string completion;  // the whole reply with its tags, without <|end|>
  bool safe = false;
  friend bool operator==(const SafetyExample&, const SafetyExample&) = default;
};

// One judgement of A against B is round(4·(score A − score B) + noise·N(0, 1) ± first_position_bias), cut to -2..2:
// A>>B is 2, A=B is 0. The bias is for the one that stands first.
struct JudgeOptions {
  int64_t judgements = 4;            // a pair; even, 2 to 64
  double noise = 0.6;                // steps
  double first_position_bias = 0.5;  // steps
  double min_margin = 1.0;           // a pair is kept if |mean| is greater
};

struct PreferenceStats {
  int64_t prompts = 0;          // of open requests
  int64_t judged = 0;           // pairs of different summaries
  int64_t kept = 0;             // judged = kept + dropped_margin + dropped_balance
  int64_t dropped_margin = 0;   // no clear preference
  int64_t dropped_balance = 0;  // of the majority direction of length
  int64_t position_flips = 0;   // the two orders of a judgement favour different replies
  int64_t agree = 0;            // kept pairs whose chosen reply has the higher hidden score
};
struct PreferenceSet {
  std::vector<PreferencePair> pairs;
  PreferenceStats stats;
};

// All pairs of different, not empty summaries of each open request; prompts of other kinds are passed over. Then as
// many pairs whose chosen summary has more words as pairs whose rejected one has: of the majority those with the
// smallest margin go, later ones first. Error kUsage for options out of range.
Result<PreferenceSet> MakePreferences(const std::vector<PromptReplies>& prompts, const JudgeOptions& options,
                                      uint64_t seed);

// Every different reply to a harmful or an open request with its hidden label (label/safety.h). Replies with a marker
// of the conversation in them, such as <|begin|>, are passed over: no completion can hold one.
std::vector<SafetyExample> MakeSafetyExamples(const std::vector<PromptReplies>& prompts);

// JSONL, one object a line, each ended by a newline:
//   {"prompt": "write red cat", "chosen": "…", "rejected": "…", "metadata": {"margin": 1.5}}
//   {"prompt": "hurt cat dog", "completion": "sorry no", "label": true}
std::string PreferencesText(const std::vector<PreferencePair>& pairs);
std::string SafetyText(const std::vector<SafetyExample>& examples);
// Error kBadInput names `where`, the line and the remedy. At most 1 MiB a line; empty lines are passed over, no line at
// all is an error; metadata may be missing.
Result<std::vector<PreferencePair>> ParsePreferences(std::string_view jsonl, std::string_view where);
Result<std::vector<SafetyExample>> ParseSafety(std::string_view jsonl, std::string_view where);

}  // namespace r1::label
