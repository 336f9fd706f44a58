// Which sampled replies are kept: pure functions of text. Reasons are tried in the order of Drop; the first holds.
// Source of the set of filters: the R1 report (keep correct; mixed languages, long paragraphs and code blocks out).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/ngrams.h"
#include "distill/reply_text.h"
#include "world/task.h"

namespace r1 {

enum class Drop {
  kNone,
  kNoReply,       // the endpoint gave none, or a malformed one
  kTruncated,     // cut off at the length limit: it would teach to stop in the middle
  kMarkers,       // not regular (reply_text.h): it could not be written as messages
  kMalformed,     // keep_well_formed
  kIncorrect,     // keep_correct: by rule, or by the judge
  kUnchecked,     // keep_correct: no rule can tell, and there is no judge
  kRewrite,       // rewriting left nothing, or broke it
  kLanguage,      // max_other_language
  kTooLong,       // max_tokens
  kParagraph,     // max_paragraph_chars
  kCodeBlock,     // drop_code_blocks
  kRepetition,    // max_repetition
  kContaminated,  // shares an n-gram with a benchmark
  kJudgeFailed,   // the judge gave no verdict that can be read
  kDuplicate,     // dedup
  kPerPrompt,     // max_per_prompt
  kCount
};
const char* DropName(Drop drop);  // "truncated", ...

struct FilterConfig {
  bool keep_correct = true;
  bool keep_well_formed = true;
  double max_other_language = 0.0;
  int64_t max_tokens = 0;
  int64_t max_paragraph_chars = 0;
  bool drop_code_blocks = true;
  double max_repetition = 1.0;
  int64_t repetition_ngram = 6;
  std::string rewrite = "none";

  template <class V>
  void Fields(V& v) {
    v("keep_correct", keep_correct, "keep right answers only, as a rule or the judge says");
    v("keep_well_formed", keep_well_formed,
      "keep replies in the wanted form only: thinking, then the answer, each in its tags");
    v("max_other_language", max_other_language,
      "largest share of the thinking's words that may be in another language than the prompt; below 0: any");
    v("max_tokens", max_tokens, "longest reply, tokens; 0: any");
    v("max_paragraph_chars", max_paragraph_chars, "longest paragraph of the thinking, characters; 0: any");
    v("drop_code_blocks", drop_code_blocks, "drop replies with a ``` block in the thinking");
    v("max_repetition", max_repetition, "largest share of repeated n-grams of words in the thinking; 1: any");
    v("repetition_ngram", repetition_ngram, "words of those n-grams");
    v("rewrite", rewrite,
      "none|language: put the thinking on pick and code problems into the prompt's language word for word and drop "
      "tries with a wrong sum, before the other filters");
  }
};
Status ValidateFilterConfig(const FilterConfig& config, const std::string& where);

// A reply to be judged.
struct Sample {
  std::string question;                // the user's words, without markers
  std::string solution;                // the reference, "" if there is none
  std::optional<TaskProblem> problem;  // if it is a problem of the built-in world
  std::string reply;                   // with <|end|> if it came to its end
  bool ended = false;
  int64_t tokens = 0;  // of the reply
};

enum class Check { kCorrect, kIncorrect, kUnknown };
// The world's own checker for pick, code and general problems; else kCorrect if the final answer is the reference as
// reward/answer.h compares them, and kUnknown otherwise.
Check CheckByRule(const Sample& sample);

// Everything that needs only the sample itself; kUnknown answers pass where a judge will be asked. May rewrite the
// reply: what is kept is `text`.
struct Filtered {
  Drop drop = Drop::kNone;
  Check check = Check::kUnknown;
  ReplyText text;
  bool rewritten = false;
};
Filtered FilterSample(const Sample& sample, const FilterConfig& config, bool judged, const NgramSet* benchmarks);

// Share of the words (NormalizedWords, digits aside) that are not of the language: Han characters against other words.
// 0 if there are no words.
double OtherLanguageShare(std::string_view text, bool chinese);
// Are there more Han characters than other words (digits aside)?
bool LooksChinese(std::string_view text);
// Characters of the longest paragraph; empty lines separate paragraphs.
int64_t LongestParagraph(std::string_view text);
bool HasCodeBlock(std::string_view text);
// 1 - distinct / all runs of n words; 0 if there are fewer than n words.
double RepeatedShare(std::string_view text, int64_t n);

}  // namespace r1
