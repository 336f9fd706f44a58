#include "text/word_split.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace r1 {
namespace {

bool IsDigit(int32_t code) { return code >= '0' && code <= '9'; }
bool IsNewline(int32_t code) { return code == '\r' || code == '\n'; }

// The set [...] of a pattern that holds plain characters and ranges only.
class RangeSet {
 public:
  explicit RangeSet(std::string_view pattern) {
    const std::string_view set = pattern.substr(pattern.find('[') + 1);
    for (size_t at = 0; set[at] != ']';) {
      const auto next = [&] {
        const Utf8Character c = Utf8At(set, at);
        at += static_cast<size_t>(c.length);
        return c.code;
      };
      const int32_t first = next();
      int32_t last = first;
      if (set[at] == '-') {
        ++at;
        last = next();
      }
      ranges_.push_back({first, last});
    }
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  }
  bool Has(int32_t code) const {
    const auto above = [](int32_t c, const Range& range) { return c < range.first; };
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), code, above);
    return after != ranges_.begin() && code <= (after - 1)->last;
  }

 private:
  struct Range {
    int32_t first;
    int32_t last;
  };
  std::vector<Range> ranges_;
};

bool IsHanOrKana(int32_t code) { return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF); }

enum class Kind { kEnd, kSpace, kDigit, kOther };

struct KindOfCharacter {
  Kind type;
  int length;
};

KindOfCharacter KindAt(std::string_view text, size_t at) {
  if (at >= text.size()) return {Kind::kEnd, 0};
  const Utf8Character c = Utf8At(text, at);
  if (IsDigit(c.code)) return {Kind::kDigit, 1};
  return {IsUnicodeSpace(c.code) ? Kind::kSpace : Kind::kOther, c.length};
}

}  // namespace

size_t NextWordEnd(std::string_view text, size_t begin) {
  const size_t start = begin + (text[begin] == ' ' ? 1 : 0);
  const Kind type = KindAt(text, start).type;
  if (type == Kind::kDigit || type == Kind::kOther) {
    size_t end = start;
    for (int n = 0; n < kMaxWordCharacters; ++n) {
      const KindOfCharacter c = KindAt(text, end);
      if (c.type != type) break;
      end += static_cast<size_t>(c.length);
    }
    return end;
  }
  // White space. A run followed by a word leaves its last character behind, unless that is all there is.
  size_t end = begin;
  size_t last = begin;
  for (int n = 0; n < kMaxWordCharacters; ++n) {
    const KindOfCharacter c = KindAt(text, end);
    if (c.type != Kind::kSpace) break;
    last = end;
    end += static_cast<size_t>(c.length);
  }
  const Kind after = KindAt(text, end).type;
  const bool word_follows = after == Kind::kDigit || after == Kind::kOther;
  return word_follows && last > begin ? last : end;
}

WordSplitter::WordSplitter(WordPattern pattern, std::string_view text) : text_(text) {
  const auto set = [&](std::initializer_list<Step> steps) {
    std::copy(steps.begin(), steps.end(), steps_.begin());
    step_count_ = steps.size();
  };
  switch (pattern) {
    case WordPattern::kR1:
      set({Step::kR1});
      break;
    case WordPattern::kGpt2:
      set({Step::kGpt2});
      break;
    case WordPattern::kLlama3:
      set({Step::kLlama3});
      break;
    case WordPattern::kQwen2:
      set({Step::kQwen2});
      break;
    case WordPattern::kDeepSeekV3:
      set({Step::kThreeNumbers, Step::kHanKana, Step::kV3Words});
      break;
    case WordPattern::kDeepSeekLlm:
      set({Step::kOneNewline, Step::kCasedLetters, Step::kSigns, Step::kSpaceAtEnd, Step::kEastAsian,
           Step::kOneNumber});
      break;
    case WordPattern::kWhole:
      set({Step::kWhole});
      break;
  }
  levels_[0].end = text.size();
}

bool WordSplitter::Next(std::string_view* word) {
  for (;;) {
    Level& level = levels_[depth_];
    if (level.at == level.end) {
      if (depth_ == 0) return false;
      --depth_;
      continue;
    }
    if (level.match.end <= level.at) level.match = Find(steps_[depth_], level.at, level.end);
    const size_t begin = level.at;
    level.at = begin < level.match.begin ? level.match.begin : level.match.end;
    if (depth_ + 1 == step_count_) {
      *word = text_.substr(begin, level.at - begin);
      return true;
    }
    levels_[++depth_] = Level{begin, level.at, {begin, begin}};
  }
}

WordSplitter::Character WordSplitter::Read(size_t at, size_t end) {
  if (at >= end) return {-2, 0, end};
  ++read_;
  const Utf8Character c = Utf8At(text_, at);
  return {c.code, ClassOf(c.code), at + static_cast<size_t>(c.length)};
}

template <class InSet>
size_t WordSplitter::RunEnd(size_t at, size_t end, InSet in_set) {
  while (at < end) {
    const Character c = Read(at, end);
    if (!in_set(c)) break;
    at = c.end;
  }
  return at;
}

// \s?[set]+ or [set]+
template <class InSet>
WordSplitter::Span WordSplitter::FindRun(size_t from, size_t end, bool optional_space, InSet in_set) {
  for (size_t at = from; at < end;) {
    const Character c = Read(at, end);
    if (optional_space && (c.type & kSpace) != 0 && c.end < end && in_set(Read(c.end, end))) {
      return {at, RunEnd(c.end, end, in_set)};
    }
    if (in_set(c)) return {at, RunEnd(c.end, end, in_set)};
    at = c.end;
  }
  return {end, end};
}

WordSplitter::Span WordSplitter::Find(Step step, size_t from, size_t end) {
  static const RangeSet kCased(kDeepSeekLlmPatterns[1]);
  static const RangeSet kSign(kDeepSeekLlmPatterns[2]);
  static const RangeSet kEast(kDeepSeekLlmPatterns[4]);
  const auto is_number = [](const Character& c) { return (c.type & kNumber) != 0; };
  switch (step) {
    case Step::kWhole:
      return {from, end};
    case Step::kR1: {
      const size_t stop = NextWordEnd(text_, from);
      read_ += static_cast<int64_t>(stop - from);
      return {from, stop};
    }
    case Step::kGpt2:
      return {from, Gpt2End(from, end)};
    case Step::kLlama3:
      return {from, TiktokenEnd(from, end, 3)};
    case Step::kQwen2:
      return {from, TiktokenEnd(from, end, 1)};
    case Step::kThreeNumbers: {
      int left = 3;
      return FindRun(from, end, false, [&](const Character& c) { return is_number(c) && left-- > 0; });
    }
    case Step::kHanKana:
      return FindRun(from, end, false, [](const Character& c) { return IsHanOrKana(c.code); });
    case Step::kV3Words:
      for (size_t at = from; at < end;) {
        if (const size_t stop = V3End(at, end); stop > at) return {at, stop};
        at = Read(at, end).end;
      }
      return {end, end};
    case Step::kOneNewline:
    case Step::kOneNumber: {
      const auto found = [&](const Character& c) {
        return step == Step::kOneNumber ? is_number(c) : IsNewline(c.code);
      };
      for (size_t at = from; at < end;) {
        const Character c = Read(at, end);
        if (found(c)) return {at, c.end};
        at = c.end;
      }
      return {end, end};
    }
    case Step::kCasedLetters:
      return FindRun(from, end, true, [&](const Character& c) { return kCased.Has(c.code); });
    case Step::kSigns:
      return FindRun(from, end, true, [&](const Character& c) { return kSign.Has(c.code); });
    case Step::kEastAsian:
      return FindRun(from, end, false, [&](const Character& c) { return kEast.Has(c.code); });
    case Step::kSpaceAtEnd: {
      size_t begin = end;
      while (begin > from) {
        ++read_;
        const Utf8Character c = Utf8Before(text_, from, begin);
        if (!IsUnicodeSpace(c.code)) break;
        begin -= static_cast<size_t>(c.length);
      }
      return {begin, end};
    }
  }
  return {end, end};
}

// \s*[\r\n]+ (if `newlines`) | \s+(?!\S) | \s+ at white space.
size_t WordSplitter::SpaceEnd(size_t at, size_t end, bool newlines) {
  size_t after_newline = at;
  size_t last = at;  // begin of the last character of the run
  size_t stop = at;
  while (stop < end) {
    const Character c = Read(stop, end);
    if ((c.type & kSpace) == 0) break;
    last = stop;
    stop = c.end;
    if (IsNewline(c.code)) after_newline = stop;
  }
  if (newlines && after_newline > at) return after_newline;
  return stop < end && last > at ? last : stop;
}

size_t WordSplitter::Gpt2End(size_t at, size_t end) {
  const std::string_view rest = text_.substr(at, end - at);
  if (rest[0] == '\'') {
    for (const std::string_view tail : {"'s", "'d", "'m", "'t", "'ll", "'ve", "'re"}) {
      if (rest.starts_with(tail)) return at + tail.size();
    }
  }
  // [class]+ with an optional space, for letters, numbers, and what is none of them and no space.
  const auto group = [](const Character& c) {
    if (c.code == -2) return 0;
    if ((c.type & kSpace) != 0) return 1;
    return (c.type & kLetter) != 0 ? 2 : (c.type & kNumber) != 0 ? 3 : 4;
  };
  const size_t start = at + (rest[0] == ' ' ? 1 : 0);
  const int first = group(Read(start, end));
  if (first >= 2) return RunEnd(start, end, [&](const Character& c) { return group(c) == first; });
  return SpaceEnd(at, end, false);
}

size_t WordSplitter::TiktokenEnd(size_t at, size_t end, int most_numbers) {
  const Character first = Read(at, end);
  const auto is_letter = [](const Character& c) { return (c.type & kLetter) != 0; };
  if (first.code == '\'') {
    const auto lower = [](int32_t code) { return code == 0x17F ? 's' : code >= 'A' && code <= 'Z' ? code + 32 : code; };
    const Character second = Read(first.end, end);
    const int32_t a = lower(second.code);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return second.end;
    if (a == 'r' || a == 'v' || a == 'l') {
      const Character third = Read(second.end, end);
      if (lower(third.code) == (a == 'l' ? 'l' : 'e')) return third.end;
    }
  }
  if (is_letter(first)) return RunEnd(first.end, end, is_letter);
  if ((first.type & kNumber) != 0) {
    int left = most_numbers - 1;
    return RunEnd(first.end, end, [&](const Character& c) { return (c.type & kNumber) != 0 && left-- > 0; });
  }
  if (!IsNewline(first.code) && is_letter(Read(first.end, end))) return RunEnd(first.end, end, is_letter);
  const auto is_other = [](const Character& c) { return (c.type & (kSpace | kLetter | kNumber)) == 0; };
  const size_t start = first.code == ' ' ? first.end : at;
  if (const size_t stop = RunEnd(start, end, is_other); stop > start) {
    return RunEnd(stop, end, [](const Character& c) { return IsNewline(c.code); });
  }
  return SpaceEnd(at, end, true);
}

size_t WordSplitter::V3End(size_t at, size_t end) {
  const Character first = Read(at, end);
  const Character second = Read(first.end, end);
  const auto is_ascii_letter = [](const Character& c) { return (c.code | 32) >= 'a' && (c.code | 32) <= 'z'; };
  const auto is_word = [](const Character& c) { return (c.type & (kLetter | kMark)) != 0; };
  const auto is_sign = [](const Character& c) { return (c.type & (kPunctuation | kSymbol)) != 0; };
  if (first.code >= 0 && first.code < 0x80 && is_sign(first) && second.code >= 0 && is_ascii_letter(second)) {
    return RunEnd(second.end, end, is_ascii_letter);
  }
  if (is_word(first)) return RunEnd(first.end, end, is_word);
  if (!is_sign(first) && !IsNewline(first.code) && is_word(second)) return RunEnd(second.end, end, is_word);
  if (is_sign(first) || (first.code == ' ' && is_sign(second))) {
    const size_t stop = RunEnd(first.end, end, is_sign);
    return RunEnd(stop, end, [](const Character& c) { return IsNewline(c.code); });
  }
  return (first.type & kSpace) != 0 ? SpaceEnd(at, end, true) : at;
}

}  // namespace r1
