#include "text/word_split.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace r1 {
namespace {

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = NextWordEnd(text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

using Words = std::vector<std::string>;

TEST(WordSplit, WorldText) {
  EXPECT_EQ(Split(" pick 14 8 sum 42"), (Words{" pick", " 14", " 8", " sum", " 42"}));
  EXPECT_EQ(Split(" 选 7 和 42 等等"), (Words{" 选", " 7", " 和", " 42", " 等等"}));
  EXPECT_EQ(Split("19 + 13 = 32"), (Words{"19", " +", " 13", " =", " 32"}));
}

TEST(WordSplit, DigitsStandApart) {
  EXPECT_EQ(Split("a1b22 c333"), (Words{"a", "1", "b", "22", " c", "333"}));
  EXPECT_EQ(Split("x=12"), (Words{"x=", "12"}));
}

TEST(WordSplit, SpacesLeaveOneToTheNextWord) {
  EXPECT_EQ(Split("a  b"), (Words{"a", " ", " b"}));
  EXPECT_EQ(Split("a   7"), (Words{"a", "  ", " 7"}));
  EXPECT_EQ(Split("a\nb"), (Words{"a", "\n", "b"}));
  EXPECT_EQ(Split("a\n b"), (Words{"a", "\n", " b"}));
  EXPECT_EQ(Split("a \n"), (Words{"a", " \n"}));
  EXPECT_EQ(Split("a\xE3\x80\x80"
                  "b"),
            (Words{"a", "\xE3\x80\x80", "b"}));  // ideographic space
  EXPECT_EQ(Split("   "), (Words{"   "}));
}

TEST(WordSplit, LengthCap) {
  const std::string letters(600, 'z');
  EXPECT_EQ(Split(letters), (Words{std::string(256, 'z'), std::string(256, 'z'), std::string(88, 'z')}));
  EXPECT_EQ(Split(" " + letters)[0].size(), 257u);
  // 257 spaces before a word: the cap cuts first, so the first piece keeps its last space and the word gets the 257th.
  EXPECT_EQ(Split(std::string(257, ' ') + "x"), (Words{std::string(256, ' '), " x"}));
  EXPECT_EQ(Split(std::string(256, ' ') + "x"), (Words{std::string(255, ' '), " x"}));
}

TEST(WordSplit, InvalidBytesAreCharactersOfWords) {
  EXPECT_EQ(Split("\xFF\xFE x"), (Words{"\xFF\xFE", " x"}));
  EXPECT_EQ(Split("\xE3\x80"), (Words{"\xE3\x80"}));          // cut ideographic space
  EXPECT_EQ(Split("\xC0\xA0 a"), (Words{"\xC0\xA0", " a"}));  // overlong space is no space
  EXPECT_EQ(Utf8At("\xED\xA0\x80", 0).code, -1);              // surrogate
  EXPECT_EQ(Utf8At("\xF0\x9F\x98\x80", 0).code, 0x1F600);
}

// The pattern executed literally, alternative by alternative with its backtracking, on a list of code points.
size_t SlowMatch(const std::vector<int>& c, size_t at) {
  const auto digit = [&](size_t i) { return i < c.size() && c[i] >= '0' && c[i] <= '9'; };
  const auto space = [&](size_t i) { return i < c.size() && IsUnicodeSpace(c[i]); };
  const auto other = [&](size_t i) { return i < c.size() && !digit(i) && !space(i); };
  const auto run = [&](auto in_class, size_t from) {
    size_t n = 0;
    while (n < 256 && in_class(from + n)) ++n;
    return n;
  };
  const size_t optional = c[at] == ' ' ? 1 : 0;
  for (const size_t skip : {optional, size_t{0}}) {
    if (const size_t n = run(digit, at + skip); n > 0) return skip + n;
  }
  for (const size_t skip : {optional, size_t{0}}) {
    if (const size_t n = run(other, at + skip); n > 0) return skip + n;
  }
  for (size_t n = run(space, at); n > 0; --n) {
    if (at + n >= c.size() || space(at + n)) return n;  // (?!\S)
  }
  return run(space, at);
}

TEST(WordSplit, AgreesWithThePatternOnRandomText) {
  const std::vector<std::pair<std::string, int>> alphabet = {
      {" ", ' '},  {" ", ' '},     {"\n", '\n'},       {"\t", '\t'},     {"7", '7'},     {"a", 'a'},
      {"é", 0xE9}, {"中", 0x4E2D}, {"\u3000", 0x3000}, {"\u00A0", 0xA0}, {"😀", 0x1F600}, {"0", '0'}};
  for (uint64_t round = 0; round < 4000; ++round) {
    Rng rng(1, Stream::kTest, round);
    std::string text;
    std::vector<int> codes;
    std::vector<size_t> offset;
    const bool runs = round % 8 == 0;  // long runs reach the cap
    while (codes.size() < (runs ? 900u : 24u)) {
      const auto& [bytes, code] = alphabet[rng.Below(alphabet.size())];
      const uint64_t times = runs ? 1 + rng.Below(400) : 1;
      for (uint64_t i = 0; i < times; ++i) {
        offset.push_back(text.size());
        text += bytes;
        codes.push_back(code);
      }
    }
    offset.push_back(text.size());
    for (size_t at = 0; at < codes.size();) {
      const size_t length = SlowMatch(codes, at);
      ASSERT_GT(length, 0u);
      ASSERT_EQ(NextWordEnd(text, offset[at]), offset[at + length]) << "round " << round << " at " << at;
      at += length;
    }
  }
}

}  // namespace
}  // namespace r1
