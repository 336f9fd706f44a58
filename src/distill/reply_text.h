// A reply as what is thought and what is said, and back. The pattern, where thinking may be missing:
//   [<think> THINKING </think>] CONTENT <|end|>
// A reply is regular if it follows the pattern, THINKING and CONTENT are not empty, and no marker stands in them but
// <answer> and </answer> in CONTENT. Only a regular reply can be written as a message and read back the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace r1 {

struct ReplyText {
  std::string thinking;  // trimmed
  std::string content;   // trimmed, without <|end|>
  bool has_thinking = false;
  bool ended = false;  // <|end|> was there
  bool regular = false;
};
ReplyText SplitReplyText(std::string_view reply);
// " <think> THINKING </think> CONTENT<|end|>"; without thinking " CONTENT<|end|>".
std::string JoinReplyText(std::string_view thinking, std::string_view content);

// The words of the last <answer>…</answer> of a content, else of its last \boxed{…}, else all of it; trimmed.
std::string FinalAnswer(std::string_view content);

// One line of a data set for supervised training, without its line end:
//   {"messages":[{"role":"user","content":…},{"role":"assistant","reasoning_content":…,"content":…}],
//    "metadata":{"task":…,"source":…,"tokens":…}}
// question: the user's words, without markers. tokens: of the reply. system: a message before the user's, if not empty.
std::string MessagesLine(std::string_view system, std::string_view question, const ReplyText& reply,
                         std::string_view task, std::string_view source, int64_t tokens);

}  // namespace r1
