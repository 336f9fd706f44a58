#include "distill/filters.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "reward/answer.h"
#include "world/rewrite.h"

namespace r1 {
namespace {

constexpr std::array<const char*, static_cast<size_t>(Drop::kCount)> kNames = {
    "none",       "no_reply",     "truncated",    "markers",   "malformed", "incorrect",
    "unchecked",  "rewrite",      "language",     "too_long",  "paragraph", "code_block",
    "repetition", "contaminated", "judge_failed", "duplicate", "per_prompt"};

// The words as they are, one space between.
std::string Collapsed(std::string_view text) {
  std::string result;
  bool space = false;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      space = !result.empty();
      continue;
    }
    if (space) result += ' ';
    space = false;
    result += c;
  }
  return result;
}

bool WrittenInTries(const Sample& sample) {
  return sample.problem.has_value() &&
         (sample.problem->kind == TaskKind::kPick || sample.problem->kind == TaskKind::kCode);
}

bool CheckedByWorld(const Sample& sample) {
  return WrittenInTries(sample) || (sample.problem.has_value() && sample.problem->kind == TaskKind::kGeneral);
}

// Thinking and answer in their tags where the task trains that form; elsewhere the regular form is enough.
bool InWantedForm(const Sample& sample, const ReplyText& text, const std::string& reply) {
  if (!WrittenInTries(sample)) return text.regular;
  return AnalyzeTaskReply(*sample.problem, reply).well_formed;
}

double ShareInOtherLanguage(const Sample& sample, const std::string& thinking, const std::string& reply) {
  if (!sample.problem.has_value()) return OtherLanguageShare(thinking, LooksChinese(sample.question));
  const ReplyFacts facts = AnalyzeTaskReply(*sample.problem, reply);
  return facts.thinking_words == 0 ? 0 : 1 - facts.LanguageConsistency();
}

struct WordCounts {
  int64_t han = 0, other = 0;
};
WordCounts CountWords(std::string_view text) {
  WordCounts counts;
  for (const std::string& word : NormalizedWords(text)) {
    if (std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; })) continue;
    // NormalizedWords makes every character of these scripts a word: it has three bytes or more and is alone.
    const bool alone = Utf8Length(word) == static_cast<int>(word.size()) && word.size() >= 3;
    ++(alone ? counts.han : counts.other);
  }
  return counts;
}

}  // namespace

const char* DropName(Drop drop) { return kNames[static_cast<size_t>(drop)]; }

Status ValidateFilterConfig(const FilterConfig& c, const std::string& where) {
  const auto fail = [&](const std::string& what) -> Status { return Error{ErrorCode::kRefused, where + ": " + what}; };
  if (!(c.max_other_language <= 1)) return fail("max_other_language must be at most 1");
  if (c.max_tokens < 0) return fail("max_tokens must not be negative");
  if (c.max_paragraph_chars < 0) return fail("max_paragraph_chars must not be negative");
  if (!(c.max_repetition >= 0 && c.max_repetition <= 1)) return fail("max_repetition must be in 0 .. 1");
  if (c.repetition_ngram < 1 || c.repetition_ngram > 1000) return fail("repetition_ngram must be in 1 .. 1000");
  if (c.rewrite != "none" && c.rewrite != "language") return fail("rewrite must be none or language");
  return {};
}

Check CheckByRule(const Sample& sample) {
  if (CheckedByWorld(sample))
    return AnalyzeTaskReply(*sample.problem, sample.reply).correct ? Check::kCorrect : Check::kIncorrect;
  if (sample.solution.empty()) return Check::kUnknown;
  const std::string content = SplitReplyText(sample.reply).content;
  const std::string answer = ExtractAnswer(content).value_or(FinalAnswer(content));
  const bool same = Collapsed(answer) == Collapsed(sample.solution) || SameAnswer(answer, sample.solution);
  return same ? Check::kCorrect : Check::kUnknown;
}

Filtered FilterSample(const Sample& sample, const FilterConfig& config, bool judged, const NgramSet* benchmarks) {
  Filtered result;
  const auto drop = [&](Drop why) {
    result.drop = why;
    return result;
  };
  if (!sample.ended) return drop(Drop::kTruncated);
  result.text = SplitReplyText(sample.reply);
  if (!result.text.regular) return drop(Drop::kMarkers);
  if (config.keep_well_formed && !InWantedForm(sample, result.text, sample.reply)) return drop(Drop::kMalformed);
  result.check = CheckByRule(sample);
  if (config.keep_correct && result.check == Check::kIncorrect) return drop(Drop::kIncorrect);
  if (config.keep_correct && result.check == Check::kUnknown && !judged) return drop(Drop::kUnchecked);

  std::string reply = sample.reply;
  if (config.rewrite == "language" && result.text.has_thinking && WrittenInTries(sample)) {
    const std::optional<std::string> rewritten = RewriteThinking(*sample.problem, reply);
    if (!rewritten.has_value()) return drop(Drop::kRewrite);
    result.rewritten = *rewritten != reply;
    Sample again = sample;
    again.reply = reply = *rewritten;
    result.text = SplitReplyText(reply);
    const bool whole = result.text.regular && (!config.keep_well_formed || InWantedForm(again, result.text, reply)) &&
                       CheckByRule(again) == result.check;
    if (!whole) return drop(Drop::kRewrite);
  }
  const std::string& thinking = result.text.thinking;
  if (config.max_other_language >= 0 && ShareInOtherLanguage(sample, thinking, reply) > config.max_other_language)
    return drop(Drop::kLanguage);
  if (config.max_tokens > 0 && sample.tokens > config.max_tokens) return drop(Drop::kTooLong);
  if (config.max_paragraph_chars > 0 && LongestParagraph(thinking) > config.max_paragraph_chars)
    return drop(Drop::kParagraph);
  if (config.drop_code_blocks && HasCodeBlock(thinking)) return drop(Drop::kCodeBlock);
  if (config.max_repetition < 1 && RepeatedShare(thinking, config.repetition_ngram) > config.max_repetition)
    return drop(Drop::kRepetition);
  if (benchmarks != nullptr && (benchmarks->Overlaps(sample.question) || benchmarks->Overlaps(reply)))
    return drop(Drop::kContaminated);
  return result;
}

double OtherLanguageShare(std::string_view text, bool chinese) {
  const WordCounts counts = CountWords(text);
  const int64_t all = counts.han + counts.other;
  return all == 0 ? 0 : static_cast<double>(chinese ? counts.other : counts.han) / static_cast<double>(all);
}

bool LooksChinese(std::string_view text) {
  const WordCounts counts = CountWords(text);
  return counts.han > counts.other;
}

int64_t LongestParagraph(std::string_view text) {
  int64_t longest = 0, length = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      length = 0;
      continue;
    }
    length += length > 0;  // the line end between two lines of a paragraph
    length +=
        std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    longest = std::max(longest, length);
  }
  return longest;
}

bool HasCodeBlock(std::string_view text) { return text.find("```") != std::string_view::npos; }

double RepeatedShare(std::string_view text, int64_t n) {
  std::vector<uint64_t> hashes = NgramHashes(NormalizedWords(text), n);
  if (hashes.empty()) return 0;
  const double all = static_cast<double>(hashes.size());
  std::sort(hashes.begin(), hashes.end());
  const auto distinct = std::unique(hashes.begin(), hashes.end()) - hashes.begin();
  return 1 - static_cast<double>(distinct) / all;
}

}  // namespace r1
