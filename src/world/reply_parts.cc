#include "world/reply_parts.h"

#include <algorithm>
#include <array>

namespace r1 {
namespace {

ReplyStyle StyleOf(const ReplyItems& items, bool thinks, const ReplyWords& thinking,
                   const std::function<bool(std::string_view)>& is_bare_word) {
  if (thinks) {
    const bool verdict =
        std::any_of(thinking.begin(), thinking.end(), [](auto w) { return VerdictOf(w) != kNoVerdict; });
    if (verdict) return ReplyStyle::kSearch;
    return thinking.empty() ? ReplyStyle::kOther : ReplyStyle::kSingleTry;
  }
  const auto is_answer = [](const ReplyItem& item) { return IsMarker(item, kAnswerMarker); };
  if (std::any_of(items.begin(), items.end(), is_answer)) return ReplyStyle::kDirect;
  bool any = false;
  for (const ReplyItem& item : items) {
    if (IsMarker(item, kEndMarker)) continue;
    if (item.is_marker || !is_bare_word(item.text)) return ReplyStyle::kOther;
    any = true;
  }
  return any ? ReplyStyle::kBare : ReplyStyle::kOther;
}

}  // namespace

int VerdictOf(std::string_view text) {
  if (IsWord(text, Word::kSmall)) return -1;
  if (IsWord(text, Word::kYes)) return 0;
  return IsWord(text, Word::kBig) ? 1 : kNoVerdict;
}

ReplyWords LastAnswer(const ReplyItems& items) {
  size_t end = items.size();
  while (end > 0 && !IsMarker(items[end - 1], kEndAnswerMarker)) --end;
  if (end == 0) return {};
  size_t begin = end - 1;
  while (begin > 0 && !IsMarker(items[begin - 1], kAnswerMarker)) --begin;
  if (begin == 0) return {};
  ReplyWords words;
  for (size_t i = begin; i < end - 1; ++i) {
    if (items[i].is_marker) return {};
    words.push_back(items[i].text);
  }
  return words;
}

ReplyWords ThinkingOf(const ReplyItems& items) {
  const auto is_think = [](const ReplyItem& item) { return IsMarker(item, kThinkMarker); };
  const auto think = std::find_if(items.begin(), items.end(), is_think);
  ReplyWords thinking;
  if (think == items.end()) return thinking;
  for (auto item = think + 1; item != items.end() && !item->is_marker; ++item) thinking.push_back(item->text);
  return thinking;
}

bool IsWellFormed(const ReplyItems& items) {
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

void AnalyzeForm(const ReplyItems& items, bool chinese, const std::function<bool(std::string_view)>& is_bare_word,
                 ReplyFacts* facts) {
  facts->ended = !items.empty() && IsMarker(items.back(), kEndMarker);
  facts->well_formed = IsWellFormed(items);
  const auto is_think = [](const ReplyItem& item) { return IsMarker(item, kThinkMarker); };
  const bool thinks = std::any_of(items.begin(), items.end(), is_think);
  const ReplyWords thinking = ThinkingOf(items);
  int other_language = 0;
  for (const std::string_view word : thinking) {
    const WordLanguage language = LanguageOf(word);
    if (language == WordLanguage::kNone) continue;
    ++facts->thinking_words;
    const bool in_language = (language == WordLanguage::kChinese) == chinese;
    facts->thinking_words_in_language += in_language;
    other_language += !in_language;
  }
  facts->mixed = other_language > 0 && facts->thinking_words_in_language > 0;
  facts->reflects =
      std::any_of(items.begin(), items.end(), [](const ReplyItem& i) { return IsWord(i.text, Word::kWait); });
  facts->style = StyleOf(items, thinks, thinking, is_bare_word);
}

WrittenTry ReadTry(const ReplyWords& words, size_t at) {
  WrittenTry result;
  const std::array<int*, 5> number = {&result.a, &result.b, &result.s, &result.c, &result.t};
  constexpr std::array<std::string_view, 4> kSigns = {"+", "=", "+", "="};
  for (size_t i = 0; i < kPickTryWords; ++i) {
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

}  // namespace r1
