#include "text/token_spelling.h"

#include <array>
#include <cstdint>

#include "text/unicode.h"

namespace r1 {
namespace {

constexpr int32_t kMaxCode = 0x144;  // of the table: 256 + 68 - 1 = 0x143
constexpr std::string_view kLowerBar = "\xE2\x96\x81";
constexpr std::string_view kHexDigits = "0123456789ABCDEF";

struct ByteTable {
  std::array<int32_t, 256> code_of{};
  std::array<int32_t, kMaxCode> byte_of{};
};

const ByteTable& Table() {
  static const ByteTable table = [] {
    ByteTable t;
    t.byte_of.fill(-1);
    int32_t next = 256;
    for (int32_t byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const int32_t code = itself ? byte : next++;
      t.code_of[static_cast<size_t>(byte)] = code;
      t.byte_of[static_cast<size_t>(code)] = byte;
    }
    return t;
  }();
  return table;
}

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t at = 0;
  for (size_t found = text.find(from); found != std::string_view::npos; found = text.find(from, at)) {
    out.append(text.substr(at, found - at));
    out.append(to);
    at = found + from.size();
  }
  out.append(text.substr(at));
  return out;
}

}  // namespace

std::string SpellBytes(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) AppendUtf8(Table().code_of[static_cast<unsigned char>(c)], &text);
  return text;
}

bool ReadSpelledBytes(std::string_view text, std::string* bytes) {
  bytes->clear();
  for (size_t at = 0; at < text.size();) {
    const Utf8Character c = Utf8At(text, at);
    if (c.code < 0 || c.code >= kMaxCode || Table().byte_of[static_cast<size_t>(c.code)] < 0) return false;
    *bytes += static_cast<char>(Table().byte_of[static_cast<size_t>(c.code)]);
    at += static_cast<size_t>(c.length);
  }
  return true;
}

std::string SpellCharacters(std::string_view text) { return Replaced(text, " ", kLowerBar); }
std::string ReadSpelledCharacters(std::string_view text) { return Replaced(text, kLowerBar, " "); }

std::string SpellByteToken(int byte) {
  std::string text = "<0x";
  text += kHexDigits[static_cast<size_t>(byte >> 4 & 15)];
  text += kHexDigits[static_cast<size_t>(byte & 15)];
  return text + '>';
}

int ReadByteToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const size_t high = kHexDigits.find(text[3]);
  const size_t low = kHexDigits.find(text[4]);
  return high == std::string_view::npos || low == std::string_view::npos ? -1 : static_cast<int>(high * 16 + low);
}

}  // namespace r1
