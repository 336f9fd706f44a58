#include "world/rewrite.h"

#include "world/code.h"
#include "world/reply_parts.h"
#include "world/write.h"

namespace r1 {
namespace {

struct TryLength {
  size_t words = 0;  // of the try, without try or wait and without a verdict
  bool sound = false;
};

TryLength PickTry(const ReplyWords& words, size_t at) {
  const WrittenTry found = ReadTry(words, at);
  const bool whole = found.words == kPickTryWords;
  return {found.words, whole && found.a + found.b == found.s && found.s + found.c == found.t};
}

TryLength CodeTry(const ReplyWords& words, size_t at) {
  const WrittenCodeTry found = ReadCodeTry(words, at);
  const bool whole = found.words == kCodeTryWords;
  return {found.words, whole && found.first_product_right && found.difference_right && found.product_right &&
                           found.value_right && found.as_proposed};
}

bool IsNumberOrSign(std::string_view word) {
  return NumberOf(word) >= 0 || word == "+" || word == "-" || word == "*" || word == "=" || word == ">";
}

// Puts a word in the language; false if it is none of the world's.
bool PutWord(Writer& out, std::string_view text, bool chinese) {
  if (IsNumberOrSign(text)) {
    out.Put(text);
    return true;
  }
  const std::optional<Word> word = WordNamed(text);
  if (word) out.Put(WordText(*word, chinese));
  return word.has_value();
}

}  // namespace

std::optional<std::string> RewriteThinking(const TaskProblem& problem, std::string_view reply) {
  if (problem.kind != TaskKind::kPick && problem.kind != TaskKind::kCode) return {};
  const ReplyItems items = SplitReply(reply);
  if (!IsWellFormed(items)) return {};
  const ReplyWords thinking = ThinkingOf(items);
  Writer out;
  out.Put(kThinkMarker);
  size_t kept = 0;
  for (size_t i = 0; i < thinking.size();) {
    if (!IsTryWord(thinking[i])) {
      if (!PutWord(out, thinking[i++], problem.chinese)) return {};
      continue;
    }
    const TryLength attempt = problem.kind == TaskKind::kPick ? PickTry(thinking, i + 1) : CodeTry(thinking, i + 1);
    size_t end = i + 1 + attempt.words;
    if (end < thinking.size() && VerdictOf(thinking[end]) != kNoVerdict) ++end;
    if (!attempt.sound) {  // what is left of a broken try goes with it
      while (end < thinking.size() && (IsNumberOrSign(thinking[end]) || VerdictOf(thinking[end]) != kNoVerdict)) ++end;
      i = end;
      continue;
    }
    out.Put(WordText(kept++ == 0 ? Word::kTry : Word::kWait, problem.chinese));
    for (++i; i < end; ++i) {
      if (!PutWord(out, thinking[i], problem.chinese)) return {};
    }
  }
  if (kept == 0) return {};
  out.Put(kEndThinkMarker).Put(kAnswerMarker);
  for (const std::string_view word : LastAnswer(items)) out.Put(word);
  out.Put(kEndAnswerMarker);
  return Ended(out.Take());
}

}  // namespace r1
