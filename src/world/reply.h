// What a reply to a pick problem is and shows: the checkers behind rewards and reports. Functions of text only.
// Reply text is what the model wrote after <|assistant|>, including <|end|> if it got there: a reply cut off at the
// length limit has none and is not well formed. Spaces around markers do not matter (the tokenizer drops those before a
// marker).
//   accuracy    the last <answer>…</answer> holds exactly three distinct numbers of the list that sum to T, in any
//   order format      exactly <think> X </think> <answer> Y </answer><|end|>, X and Y not empty, no other marker vote
//   key    the sorted numbers of the last <answer>…</answer>; "" (no vote) unless they are exactly three numbers
//   thinking    what stands between the first <think> and the next marker
//   language    thinking words in the prompt's language / thinking words (numbers and signs are not words)
#pragma once

#include <string>
#include <string_view>

#include "world/pick.h"

namespace r1 {

enum class ReplyStyle {
  kOther,
  kBare,       // numbers only, no markers
  kDirect,     // an answer without thinking
  kSingleTry,  // thinking without a verdict
  kSearch,     // thinking with at least one verdict (big, small, yes)
};
const char* ReplyStyleName(ReplyStyle style);

struct ReplyFacts {
  bool correct = false;
  bool well_formed = false;
  bool ended = false;    // has <|end|>
  std::string vote_key;  // "5 13 19", or ""
  ReplyStyle style = ReplyStyle::kOther;
  bool reflects = false;  // contains wait or 等等
  bool mixed = false;     // thinking has words of both languages
  int thinking_words = 0;
  int thinking_words_in_language = 0;
  int tries = 0;                 // words try, wait and their Chinese forms in the thinking
  bool first_try_right = false;  // the first try's three numbers are the solution, however its sums came out
  int sums = 0;                  // written "x + y = z" in tries
  int sums_right = 0;
  int verdicts = 0;        // big, small or yes right after a complete try
  int verdicts_right = 0;  // true of the value written before it
  int false_yes = 0;       // yes although the written value is not T

  // 0 for a reply without thinking words: it shows no language. Reports average over replies with thinking_words > 0.
  double LanguageConsistency() const {
    return thinking_words == 0 ? 0 : static_cast<double>(thinking_words_in_language) / thinking_words;
  }
};

ReplyFacts AnalyzeReply(const PickProblem& problem, std::string_view reply);

}  // namespace r1
