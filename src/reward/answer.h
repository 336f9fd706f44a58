// Rewards of replies to problems of a file, by comparison with the reference answer. It is a comparison of texts and of
// plain numbers, no grader of mathematics: "1/2", "0.5" and "\frac{1}{2}" are three answers.
//   answer    of a reply's content, what follows its thinking: the last <answer>…</answer>, in it or else in all of it
//             the last \boxed{…}, else the line after the last "####"; none if there is nothing of this
//   the same  if both are numbers, of one value: digits with a sign, a point, commas between groups of three, a leading
//             "$" or a trailing "%" or "."; else if the texts are equal after taking away dollar signs around them, a
//             full stop at the end, and white space, and in lower case
//   form      how a reply is written: see ReplyForm
// Pure functions of text, linear in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace r1 {

enum class ReplyForm {
  kEnded,        // it comes to its end, nothing else
  kThink,        // OPEN thinking CLOSE content, once each, neither empty
  kThinkAnswer,  // and the content is <answer>…</answer>, not empty
};
std::optional<ReplyForm> ReplyFormFromName(std::string_view name);  // "ended" "think" "think_answer"

struct ThinkTags {
  std::string open = "<think>", close = "</think>";
};

struct AnswerReply {
  std::string thinking, content;  // trimmed; a reply whose thinking was never closed has no content
  bool thinks = false;            // it begins with the opening tag, or holds a closing one
};
AnswerReply SplitAnswerReply(std::string_view reply, const ThinkTags& tags);

std::optional<std::string> ExtractAnswer(std::string_view content);
bool SameAnswer(std::string_view a, std::string_view b);
// reply: without the token that ends it; ended: whether that came.
bool HasForm(std::string_view reply, bool ended, ReplyForm form, const ThinkTags& tags);

}  // namespace r1
