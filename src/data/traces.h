// Recorded replies with their thinking: JSONL, one object a line, single-turn,
//   {"messages": [{"role": "user", "content": "..."},
//                 {"role": "assistant", "reasoning_content": "...", "content": "..."}], "metadata": {...}}
// or {"prompt": "...", "completion": "..."}. reasoning_content may be called reasoning, or stand in <think> tags at the
// beginning of the content. A system message is put before the user's, with an empty line between. A reference answer
// may stand beside, or in metadata, as solution, answer or ground_truth. Errors (kBadInput) name file and line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace r1 {

struct Trace {
  std::string question;
  std::string thinking;  // "" if there is none
  std::string content;
  std::string solution;  // "" if there is none
  int64_t line = 0;      // 1-based
};

// `where` names the source in errors.
Result<std::vector<Trace>> ParseTraces(std::string_view jsonl, std::string_view where);
Result<std::vector<Trace>> LoadTraces(const std::string& path);

// "<think> A </think> B" as A and B, trimmed; false if the text does not begin with a closed <think>.
bool SplitThinkTags(std::string_view text, std::string* thinking, std::string* content);

}  // namespace r1
