// The pre-tokenizer of the tokenizers that r1 trains itself, as a linear scanner. It cuts text into words exactly as
// the Hugging Face pre-tokenizer Split(Regex kWordPattern, Isolated) does:
//   an optional single leading space with a run of ASCII digits, or with a run of other non-space characters; what is
//   left is runs of white space, which leave one space to the next word. A word has at most 256 characters (plus its
//   space), so the work per byte is bounded whatever the input; the bound is part of the pattern, so both sides cut at
//   the same place.
// White space is Unicode White_Space. A byte that is not part of valid UTF-8 counts as one non-space character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace r1 {

inline constexpr std::string_view kWordPattern = R"( ?[0-9]{1,256}| ?[^\s0-9]{1,256}|\s{1,256}(?!\S)|\s{1,256})";
inline constexpr int kMaxWordCharacters = 256;

// Bytes of the character at text[at] (1 to 4) and its code point; -1 and length 1 for a byte that is not valid UTF-8.
struct Utf8Character {
  int32_t code;
  int length;
};
Utf8Character Utf8At(std::string_view text, size_t at);
bool IsUnicodeSpace(int32_t code);

// End of the word that begins at `begin`; begin < text.size(), and the result is greater than begin.
size_t NextWordEnd(std::string_view text, size_t begin);

}  // namespace r1
