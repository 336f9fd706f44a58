// Pre-tokenizers: linear scanners that cut text into words exactly as the regular expressions of published tokenizers
// do. A pattern is one expression or several, one after the other: each is applied to every piece that the ones before
// it left, its matches are isolated, and what lies between matches stays together (Hugging Face's Sequence of
// Split(Regex, Isolated)). An expression sees its piece only, so that \s+(?!\S) holds at a piece's end.
// The tokenizers that r1 trains itself use kR1: an optional single leading space with a run of ASCII digits, or with a
// run of other non-space characters; what is left is runs of white space, which leave one space to the next word. A
// word has at most 256 characters (plus its space).
// Classes are Unicode's (unicode.h). (?i:'s) also holds for U+017F, as case folding says. A byte that is not part of
// valid UTF-8 is a character of no class: \S, and in the set of [^\s\p{L}\p{N}].
// Every character is read a bounded number of times (characters_read() counts), whatever the text; memory is constant.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/unicode.h"

namespace r1 {

enum class WordPattern { kR1, kGpt2, kLlama3, kQwen2, kDeepSeekV3, kDeepSeekLlm, kWhole };  // kWhole: text is one word

inline constexpr std::string_view kWordPattern = R"( ?[0-9]{1,256}| ?[^\s0-9]{1,256}|\s{1,256}(?!\S)|\s{1,256})";
inline constexpr int kMaxWordCharacters = 256;
inline constexpr std::string_view kGpt2Pattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
// V3 and R1. The ranges of the second are Han, Hiragana, Katakana.
inline constexpr std::array<std::string_view, 3> kDeepSeekV3Patterns = {
    R"(\p{N}{1,3})", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"};
// DeepSeek-LLM; a sixth step isolates every character of \p{N}. The letters are those with case of an older Unicode.
inline constexpr std::array<std::string_view, 5> kDeepSeekLlmPatterns = {
    "[\r\n]",
    "\\s?[A-Za-z"
    "\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376"
    "\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943"
    "]+",
    "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", "\\s+$",
    "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"};

// End of the word that begins at `begin` under kR1; begin < text.size(), and the result is greater than begin.
size_t NextWordEnd(std::string_view text, size_t begin);

class WordSplitter {
 public:
  WordSplitter(WordPattern pattern, std::string_view text);
  // The next word, never empty; false at the end. The words joined are the text.
  bool Next(std::string_view* word);
  int64_t characters_read() const { return read_; }

 private:
  enum class Step : uint8_t {
    kWhole,
    kR1,
    kGpt2,
    kLlama3,
    kQwen2,
    kThreeNumbers,
    kHanKana,
    kV3Words,
    kOneNewline,
    kCasedLetters,
    kSigns,
    kSpaceAtEnd,
    kEastAsian,
    kOneNumber
  };
  struct Span {
    size_t begin;
    size_t end;
  };
  struct Level {  // what is left of the piece that a step works on, and its next match there
    size_t at = 0;
    size_t end = 0;
    Span match = {0, 0};  // not known if match.end <= at
  };
  struct Character {
    int32_t code;
    uint8_t type;  // of CharacterClass
    size_t end;
  };
  static constexpr size_t kMaxSteps = 6;

  Character Read(size_t at, size_t end);  // type 0, code -2 at the end
  // The first match that begins at `from` or later in [from, end); an empty one at `end` if there is none.
  Span Find(Step step, size_t from, size_t end);
  // End of the match that begins at `at`, or `at`.
  size_t Gpt2End(size_t at, size_t end);
  size_t TiktokenEnd(size_t at, size_t end, int most_numbers);
  size_t V3End(size_t at, size_t end);
  size_t SpaceEnd(size_t at, size_t end, bool newlines);
  template <class InSet>
  size_t RunEnd(size_t at, size_t end, InSet in_set);
  template <class InSet>
  Span FindRun(size_t from, size_t end, bool optional_space, InSet in_set);

  std::string_view text_;
  std::array<Step, kMaxSteps> steps_{};
  size_t step_count_ = 1;
  std::array<Level, kMaxSteps> levels_{};
  size_t depth_ = 0;  // the deepest level that may have something left
  int64_t read_ = 0;
};

}  // namespace r1
