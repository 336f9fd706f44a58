#include "world/reply.h"

#include <algorithm>
#include <array>
#include <vector>

#include "world/words.h"

namespace r1 {
namespace {

using Items = std::vector<ReplyItem>;

bool IsWord(std::string_view text, Word word) { return text == WordText(word, false) || text == WordText(word, true); }

bool IsMarker(const ReplyItem& item, std::string_view marker) { return item.is_marker && item.text == marker; }

bool IsTryWord(std::string_view text) { return IsWord(text, Word::kTry) || IsWord(text, Word::kWait); }

// -1 small, 0 yes, 1 big; 2 if it is no verdict.
int VerdictOf(std::string_view text) {
  if (IsWord(text, Word::kSmall)) return -1;
  if (IsWord(text, Word::kYes)) return 0;
  return IsWord(text, Word::kBig) ? 1 : 2;
}

// The numbers of the last complete <answer>…</answer>; empty unless it holds exactly three numbers and nothing else.
std::vector<int> LastAnswer(const Items& items) {
  size_t end = items.size();
  while (end > 0 && !IsMarker(items[end - 1], kEndAnswerMarker)) --end;
  if (end == 0) return {};
  size_t begin = end - 1;
  while (begin > 0 && !IsMarker(items[begin - 1], kAnswerMarker)) --begin;
  if (begin == 0 || end - 1 - begin != 3) return {};
  std::vector<int> numbers;
  for (size_t i = begin; i < end - 1; ++i) {
    const int n = items[i].is_marker ? -1 : NumberOf(items[i].text);
    if (n < 0) return {};
    numbers.push_back(n);
  }
  return numbers;
}

// Three distinct numbers of the list?
bool AreOfList(const PickProblem& problem, const std::vector<int>& numbers) {
  return numbers.size() == 3 && std::all_of(numbers.begin(), numbers.end(), [&](int n) {
           const auto& nums = problem.nums;
           return std::find(nums.begin(), nums.end(), n) != nums.end() &&
                  std::count(numbers.begin(), numbers.end(), n) == 1;
         });
}

bool IsWellFormed(const Items& items) {
  size_t at = 0;
  const auto marker = [&](std::string_view text) { return at < items.size() && IsMarker(items[at], text) && ++at > 0; };
  const auto words = [&] {
    const size_t from = at;
    while (at < items.size() && !items[at].is_marker) ++at;
    return at > from;
  };
  return marker(kThinkMarker) && words() && marker(kEndThinkMarker) && marker(kAnswerMarker) && words() &&
         marker(kEndAnswerMarker) && marker(kEndMarker) && at == items.size();
}

// "a + b = s + c = t" from words[at] on; as many of the nine as are there, -1 for the numbers that are not.
struct WrittenTry {
  int a = -1, b = -1, s = -1, c = -1, t = -1;
  size_t words = 0;
};

WrittenTry ReadTry(const std::vector<std::string_view>& words, size_t at) {
  WrittenTry result;
  const std::array<int*, 5> number = {&result.a, &result.b, &result.s, &result.c, &result.t};
  constexpr std::array<std::string_view, 4> kSigns = {"+", "=", "+", "="};
  for (size_t i = 0; i < 9; ++i) {
    if (at + i >= words.size()) break;
    if (i % 2 == 1) {
      if (words[at + i] != kSigns[i / 2]) break;
    } else {
      *number[i / 2] = NumberOf(words[at + i]);
      if (*number[i / 2] < 0) break;
    }
    ++result.words;
  }
  return result;
}

void CountTries(const PickProblem& problem, const std::vector<std::string_view>& thinking, ReplyFacts* facts) {
  for (size_t i = 0; i < thinking.size(); ++i) {
    if (!IsTryWord(thinking[i])) continue;
    ++facts->tries;
    const WrittenTry found = ReadTry(thinking, i + 1);
    if (facts->tries == 1 && found.c >= 0) {
      const std::vector<int> numbers = {found.a, found.b, found.c};
      facts->first_try_right = AreOfList(problem, numbers) && found.a + found.b + found.c == problem.target;
    }
    if (found.s >= 0) {
      ++facts->sums;
      facts->sums_right += found.a + found.b == found.s;
    }
    if (found.words != 9) continue;
    ++facts->sums;
    facts->sums_right += found.s + found.c == found.t;
    if (i + 10 >= thinking.size()) continue;
    const int verdict = VerdictOf(thinking[i + 10]);
    if (verdict == 2) continue;
    const int truth = found.t < problem.target ? -1 : found.t > problem.target ? 1 : 0;
    ++facts->verdicts;
    facts->verdicts_right += verdict == truth;
    facts->false_yes += verdict == 0 && truth != 0;
  }
}

ReplyStyle StyleOf(const Items& items, bool thinks, const std::vector<std::string_view>& thinking) {
  if (thinks) {
    const bool verdict = std::any_of(thinking.begin(), thinking.end(), [](auto w) { return VerdictOf(w) != 2; });
    if (verdict) return ReplyStyle::kSearch;
    return thinking.empty() ? ReplyStyle::kOther : ReplyStyle::kSingleTry;
  }
  const auto is_answer = [](const ReplyItem& item) { return IsMarker(item, kAnswerMarker); };
  if (std::any_of(items.begin(), items.end(), is_answer)) return ReplyStyle::kDirect;
  bool any = false;
  for (const ReplyItem& item : items) {
    if (IsMarker(item, kEndMarker)) continue;
    if (item.is_marker || NumberOf(item.text) < 0) return ReplyStyle::kOther;
    any = true;
  }
  return any ? ReplyStyle::kBare : ReplyStyle::kOther;
}

}  // namespace

const char* ReplyStyleName(ReplyStyle style) {
  switch (style) {
    case ReplyStyle::kBare:
      return "bare";
    case ReplyStyle::kDirect:
      return "direct";
    case ReplyStyle::kSingleTry:
      return "single_try";
    case ReplyStyle::kSearch:
      return "search";
    case ReplyStyle::kOther:
      break;
  }
  return "other";
}

ReplyFacts AnalyzeReply(const PickProblem& problem, std::string_view reply) {
  ReplyFacts facts;
  const Items items = SplitReply(reply);
  facts.ended = !items.empty() && IsMarker(items.back(), kEndMarker);
  facts.well_formed = IsWellFormed(items);

  std::vector<int> answer = LastAnswer(items);
  if (!answer.empty()) {
    facts.correct = AreOfList(problem, answer) && answer[0] + answer[1] + answer[2] == problem.target;
    std::sort(answer.begin(), answer.end());
    facts.vote_key = std::to_string(answer[0]) + " " + std::to_string(answer[1]) + " " + std::to_string(answer[2]);
  }

  const auto is_think = [](const ReplyItem& item) { return IsMarker(item, kThinkMarker); };
  const auto think = std::find_if(items.begin(), items.end(), is_think);
  std::vector<std::string_view> thinking;
  if (think != items.end()) {
    for (auto item = think + 1; item != items.end() && !item->is_marker; ++item) thinking.push_back(item->text);
  }
  int other_language = 0;
  for (const std::string_view word : thinking) {
    const WordLanguage language = LanguageOf(word);
    if (language == WordLanguage::kNone) continue;
    ++facts.thinking_words;
    const bool in_language = (language == WordLanguage::kChinese) == problem.chinese;
    facts.thinking_words_in_language += in_language;
    other_language += !in_language;
  }
  facts.mixed = other_language > 0 && facts.thinking_words_in_language > 0;
  facts.reflects =
      std::any_of(items.begin(), items.end(), [](const ReplyItem& i) { return IsWord(i.text, Word::kWait); });
  CountTries(problem, thinking, &facts);
  facts.style = StyleOf(items, think != items.end(), thinking);
  return facts;
}

}  // namespace r1
