#include "base/quote.h"

#include <cstdint>

#include "base/utf8.h"

namespace r1 {

std::string Quote(std::string_view text, size_t max_bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "'";
  size_t i = 0;
  while (i < text.size()) {
    if (out.size() > max_bytes) {
      out += "...";
      break;
    }
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const int length = Utf8Length(text.substr(i));
    if (c == '\n') {
      out += "\\n";
      ++i;
    } else if (c == '\t') {
      out += "\\t";
      ++i;
    } else if (c == '\'' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
      ++i;
    } else if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
      ++i;
    } else if (length >= 2 && !(c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0)) {  // not a C1 control
      out += text.substr(i, static_cast<size_t>(length));
      i += static_cast<size_t>(length);
    } else {
      out += "\\x";
      out += kHex[c >> 4];
      out += kHex[c & 15];
      ++i;
    }
  }
  out += '\'';
  return out;
}

}  // namespace r1
