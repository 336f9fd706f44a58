// The scanners of published pre-tokenizers against their regular expressions, executed literally with backtracking.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "text/word_split.h"

namespace r1 {
namespace {

using Codes = std::vector<int32_t>;
using Set = std::function<bool(int32_t)>;

struct Item {
  Set set;
  size_t least;
  size_t most;
};
struct Alternative {
  std::vector<Item> items;
  bool then_no_text = false;  // (?!\S)
  bool then_end = false;      // $
};
using Expression = std::vector<Alternative>;

constexpr size_t kMany = 1000;

// End of the match of items[i..] at `at`, or -1: greedy, giving back one at a time.
int64_t MatchItems(const Alternative& a, size_t i, const Codes& c, size_t at) {
  if (i == a.items.size()) {
    if (a.then_end && at < c.size()) return -1;
    return a.then_no_text && at < c.size() && !IsUnicodeSpace(c[at]) ? -1 : static_cast<int64_t>(at);
  }
  size_t n = 0;
  while (n < a.items[i].most && at + n < c.size() && a.items[i].set(c[at + n])) ++n;
  for (;; --n) {
    if (n < a.items[i].least) return -1;
    if (const int64_t end = MatchItems(a, i + 1, c, at + n); end >= 0) return end;
    if (n == 0) return -1;
  }
}

// Split(expression, Isolated) of every piece.
std::vector<Codes> Apply(const Expression& expression, const std::vector<Codes>& pieces) {
  std::vector<Codes> out;
  for (const Codes& piece : pieces) {
    Codes between;
    for (size_t at = 0; at < piece.size();) {
      int64_t end = -1;
      for (size_t i = 0; i < expression.size() && end < 0; ++i) end = MatchItems(expression[i], 0, piece, at);
      if (end <= static_cast<int64_t>(at)) {
        between.push_back(piece[at++]);
        continue;
      }
      if (!between.empty()) out.push_back(std::exchange(between, {}));
      out.emplace_back(piece.begin() + static_cast<ptrdiff_t>(at), piece.begin() + end);
      at = static_cast<size_t>(end);
    }
    if (!between.empty()) out.push_back(between);
  }
  return out;
}

Set Class(int mask) {
  return [mask](int32_t c) { return (ClassOf(c) & mask) != 0; };
}
Set Not(Set set, const std::string& also = "") {
  return [set, also](int32_t c) {
    return !set(c) && !(c >= 0 && c < 128 && also.find(static_cast<char>(c)) != std::string::npos);
  };
}
Set One(const std::string& characters) {
  return [characters](int32_t c) {
    return c > 0 && c < 128 && characters.find(static_cast<char>(c)) != std::string::npos;
  };
}
Set Range(int32_t first, int32_t last) {
  return [=](int32_t c) { return c >= first && c <= last; };
}
Set Either(Set a, Set b) {
  return [=](int32_t c) { return a(c) || b(c); };
}

void AddSpaces(Expression* e, bool newlines) {
  const Item spaces = {Class(kSpace), 1, kMany};
  if (newlines) e->push_back({{{Class(kSpace), 0, kMany}, {One("\r\n"), 1, kMany}}});
  e->push_back({{spaces}, true});
  e->push_back({{spaces}});
}

std::vector<Expression> Gpt2() {
  Expression e;
  e.push_back({{{One("'"), 1, 1}, {One("sdmt"), 1, 1}}});
  for (const char* tail : {"ll", "ve", "re"}) {
    e.push_back({{{One("'"), 1, 1}, {One({tail[0]}), 1, 1}, {One({tail[1]}), 1, 1}}});
  }
  for (const Set& set : {Class(kLetter), Class(kNumber), Not(Class(kSpace | kLetter | kNumber))}) {
    e.push_back({{{One(" "), 0, 1}, {set, 1, kMany}}});
  }
  AddSpaces(&e, false);
  return {e};
}

std::vector<Expression> Tiktoken(size_t numbers) {
  Expression e;
  e.push_back({{{One("'"), 1, 1}, {Either(One("sSdDmMtT"), Range(0x17F, 0x17F)), 1, 1}}});
  for (const char* tail : {"lL", "vV", "rR"}) {
    e.push_back({{{One("'"), 1, 1}, {One(tail), 1, 1}, {One(tail[0] == 'l' ? "lL" : "eE"), 1, 1}}});
  }
  e.push_back({{{Not(Class(kLetter | kNumber), "\r\n"), 0, 1}, {Class(kLetter), 1, kMany}}});
  e.push_back({{{Class(kNumber), 1, numbers}}});
  e.push_back({{{One(" "), 0, 1}, {Not(Class(kSpace | kLetter | kNumber)), 1, kMany}, {One("\r\n"), 0, kMany}}});
  AddSpaces(&e, true);
  return {e};
}

std::vector<Expression> DeepSeekV3() {
  Expression e;
  const Set ascii = Either(Range('a', 'z'), Range('A', 'Z'));
  e.push_back({{{One("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), 1, 1}, {ascii, 1, kMany}}});
  e.push_back({{{Not(Class(kLetter | kPunctuation | kSymbol), "\r\n"), 0, 1}, {Class(kLetter | kMark), 1, kMany}}});
  e.push_back({{{One(" "), 0, 1}, {Class(kPunctuation | kSymbol), 1, kMany}, {One("\r\n"), 0, kMany}}});
  AddSpaces(&e, true);
  return {{{{{Class(kNumber), 1, 3}}}}, {{{{Either(Range(0x4E00, 0x9FA5), Range(0x3040, 0x30FF)), 1, kMany}}}}, e};
}

// The letters of this alphabet that have case are those of the pattern's list.
std::vector<Expression> DeepSeekLlm() {
  const Set letter = [](int32_t c) {
    return (ClassOf(c) & kLetter) != 0 && (c < 0x250 || (c >= 0xFF21 && c <= 0xFF5A));
  };
  const Set sign = [](int32_t c) {
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x7E) || (c >= 0xFF01 && c <= 0xFF0F) ||
           (c >= 0xFF1A && c <= 0xFF5E) || (c >= 0x2018 && c <= 0x201F) || (c >= 0x3000 && c <= 0x3002);
  };
  const Set east = [](int32_t c) { return (c >= 0x800 && c <= 0x9FA5) || (c >= 0xAC00 && c <= 0xD7FF); };
  const Item space = {Class(kSpace), 0, 1};
  return {{{{{One("\r\n"), 1, 1}}}},     {{{space, {letter, 1, kMany}}}},
          {{{space, {sign, 1, kMany}}}}, {{{{Class(kSpace), 1, kMany}}, false, true}},
          {{{{east, 1, kMany}}}},        {{{{Class(kNumber), 1, 1}}}}};
}

struct Case {
  const char* name;
  WordPattern pattern;
  std::vector<Expression> (*expressions)();
};

class WordPatterns : public testing::TestWithParam<Case> {};

TEST_P(WordPatterns, AgreeWithTheExpressionOnRandomText) {
  const std::vector<std::pair<std::string, int32_t>> alphabet = {
      {" ", ' '},         {" ", ' '},        {"\n", '\n'},   {"\r", '\r'},      {"\t", '\t'},      {"'", '\''},
      {"'", '\''},        {"s", 's'},        {"L", 'L'},     {"l", 'l'},        {"e", 'e'},        {"v", 'v'},
      {"é", 0xE9},        {"\u017f", 0x17F}, {"中", 0x4E2D}, {"の", 0x306E},    {"・", 0x30FB},    {"\u3000", 0x3000},
      {"\u00A0", 0xA0},   {"😀", 0x1F600},    {"7", '7'},     {"0", '0'},        {"\u0663", 0x663}, {"½", 0xBD},
      {"\u0301", 0x301},  {"!", '!'},        {"_", '_'},     {"$", '$'},        {"。", 0x3002},    {"…", 0x2026},
      {"\u2028", 0x2028}, {"\x01", 1},       {"\xFF", -1},   {"\u0378", 0x378}, {"Ａ", 0xFF21},    {"한", 0xD55C}};
  const std::vector<Expression> expressions = GetParam().expressions();
  size_t words = 0;
  for (uint64_t round = 0; round < 20'000; ++round) {
    Rng rng(4, Stream::kTest, round);
    std::string text;
    Codes codes;
    const uint64_t kinds = 2 + rng.Below(alphabet.size());  // few kinds make long runs
    const uint64_t first = rng.Below(alphabet.size());
    const uint64_t length = 1 + rng.Below(24);
    for (uint64_t i = 0; i < length; ++i) {
      const auto& [bytes, code] = alphabet[(first + rng.Below(kinds)) % alphabet.size()];
      text += bytes;
      codes.push_back(code);
    }
    std::vector<Codes> want = {codes};
    for (const Expression& expression : expressions) want = Apply(expression, want);
    WordSplitter splitter(GetParam().pattern, text);
    size_t at = 0;
    std::string_view word;
    for (const Codes& expected : want) {
      ASSERT_TRUE(splitter.Next(&word)) << "round " << round << ": " << text;
      Codes got;
      for (size_t i = 0; i < word.size();) {
        const Utf8Character c = Utf8At(word, i);
        got.push_back(c.code);
        i += static_cast<size_t>(c.length);
      }
      ASSERT_EQ(got, expected) << "round " << round << " at " << at << ": " << text;
      at += word.size();
      ++words;
    }
    ASSERT_FALSE(splitter.Next(&word));
    ASSERT_EQ(at, text.size());
  }
  EXPECT_GT(words, 60'000u);
}

TEST_P(WordPatterns, ReadEveryCharacterABoundedNumberOfTimes) {
  for (const std::string unit :
       {"a", " ", "\n", "\u0301", "7", " \n", "\n ", "a ", "!", " !", "中", "\xFF", "\x01", "'", "' "}) {
    std::string text;
    constexpr int kUnits = 20'000;
    for (int i = 0; i < kUnits; ++i) text += unit;
    for (const std::string tail : {"", "x", "1"}) {
      WordSplitter splitter(GetParam().pattern, text + tail);
      size_t bytes = 0;
      for (std::string_view word; splitter.Next(&word);) bytes += word.size();
      EXPECT_EQ(bytes, text.size() + tail.size());
      EXPECT_LT(splitter.characters_read(), 16 * kUnits * static_cast<int64_t>(unit.size())) << unit;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Published, WordPatterns,
                         testing::Values(Case{"Gpt2", WordPattern::kGpt2, Gpt2},
                                         Case{"Llama3", WordPattern::kLlama3, [] { return Tiktoken(3); }},
                                         Case{"Qwen2", WordPattern::kQwen2, [] { return Tiktoken(1); }},
                                         Case{"DeepSeekV3", WordPattern::kDeepSeekV3, DeepSeekV3},
                                         Case{"DeepSeekLlm", WordPattern::kDeepSeekLlm, DeepSeekLlm}),
                         [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

}  // namespace
}  // namespace r1
