// What the text side needs to know of Unicode: characters of UTF-8, classes of code points, and normalization form C.
// Classes and the data of normalization come from ICU (libicuuc); ICU's version decides the Unicode version (72: 15.0).
// The form is made here and not by ICU's normalizer, whose time is quadratic in a run of combining marks in descending
// order of class; this one is O(n log n) in any text and holds one combining sequence at a time.
// A byte that is not part of valid UTF-8 is a character without any class, and stays as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace r1 {

// Bytes of the character at text[at] (1 to 4) and its code point; -1 and length 1 for a byte that is not valid UTF-8.
struct Utf8Character {
  int32_t code;
  int length;
};
Utf8Character Utf8At(std::string_view text, size_t at);
// The same for the character that ends before text[end]; begin < end, and no byte before `begin` is looked at.
Utf8Character Utf8Before(std::string_view text, size_t begin, size_t end);
void AppendUtf8(int32_t code, std::string* text);  // a code point in 0..10FFFF

bool IsUnicodeSpace(int32_t code);  // White_Space, the \s of the patterns

// General categories as bits: one code point has at most one of the first five. kSpace is White_Space, beside them.
enum CharacterClass : uint8_t {
  kLetter = 1,       // \p{L}
  kNumber = 2,       // \p{N}
  kMark = 4,         // \p{M}
  kPunctuation = 8,  // \p{P}
  kSymbol = 16,      // \p{S}
  kSpace = 32,
};
uint8_t ClassOf(int32_t code);  // 0 for -1

// \w of added tokens with single_word: alphabetic, mark, decimal digit, connector punctuation, joiner.
bool IsWordCharacter(int32_t code);

// Normalization form C. Returns `text` itself where it is in that form already, else a view of `*buffer`.
std::string_view ToNfc(std::string_view text, std::string* buffer);

}  // namespace r1
