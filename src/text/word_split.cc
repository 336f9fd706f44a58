#include "text/word_split.h"

#include "base/utf8.h"

namespace r1 {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

enum class Class { kEnd, kSpace, kDigit, kOther };

struct Character {
  Class type;
  int length;
};

Character ClassAt(std::string_view text, size_t at) {
  if (at >= text.size()) return {Class::kEnd, 0};
  const Utf8Character c = Utf8At(text, at);
  if (c.length == 1 && IsDigit(text[at])) return {Class::kDigit, 1};
  return {IsUnicodeSpace(c.code) ? Class::kSpace : Class::kOther, c.length};
}

}  // namespace

Utf8Character Utf8At(std::string_view text, size_t at) {
  const int length = Utf8Length(text.substr(at));
  if (length == 0) return {-1, 1};
  const auto byte = [&](int i) { return static_cast<unsigned char>(text[at + static_cast<size_t>(i)]); };
  if (length == 1) return {byte(0), 1};
  int32_t code = byte(0) & (0x7F >> length);
  for (int i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3F);
  return {code, length};
}

bool IsUnicodeSpace(int32_t code) {
  if (code <= 0x20) return code == 0x20 || (code >= 0x09 && code <= 0x0D);
  if (code < 0x85) return false;
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

size_t NextWordEnd(std::string_view text, size_t begin) {
  const size_t start = begin + (text[begin] == ' ' ? 1 : 0);
  const Class type = ClassAt(text, start).type;
  if (type == Class::kDigit || type == Class::kOther) {
    size_t end = start;
    for (int n = 0; n < kMaxWordCharacters; ++n) {
      const Character c = ClassAt(text, end);
      if (c.type != type) break;
      end += static_cast<size_t>(c.length);
    }
    return end;
  }
  // White space. A run followed by a word leaves its last character behind, unless that is all there is.
  size_t end = begin;
  size_t last = begin;
  for (int n = 0; n < kMaxWordCharacters; ++n) {
    const Character c = ClassAt(text, end);
    if (c.type != Class::kSpace) break;
    last = end;
    end += static_cast<size_t>(c.length);
  }
  const Class after = ClassAt(text, end).type;
  const bool word_follows = after == Class::kDigit || after == Class::kOther;
  return word_follows && last > begin ? last : end;
}

}  // namespace r1
