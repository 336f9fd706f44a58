#include "text/jinja_lexer.h"

#include <array>

#include "base/quote.h"
#include "base/utf8.h"
#include "text/jinja_value.h"

namespace r1::jinja {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  Lexer(std::string_view text, std::vector<Token>* tokens, SourceError* error)
      : text_(text), tokens_(tokens), error_(error) {}

  bool Run() {
    if (!text_.empty() && text_.back() == '\n') text_.remove_suffix(1);
    while (at_ < text_.size()) {
      const size_t tag = NextTag(at_);
      if (tag == std::string_view::npos) {
        Data(at_, text_.size());
        break;
      }
      const char kind = text_[tag + 1];
      const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
      Data(at_, DataEnd(tag, kind, sign));
      open_ = tag;
      at_ = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      const bool good = kind == '#' ? Comment() : kind == '%' ? Block() : Inside("}}", TokenType::kVariableEnd);
      if (!good) return false;
      line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
    }
    Add(TokenType::kEnd, text_.size(), "");
    return true;
  }

 private:
  bool Fail(size_t offset, std::string message) {
    *error_ = {static_cast<uint32_t>(offset), std::move(message)};
    return false;
  }

  void Add(TokenType type, size_t offset, std::string text) {
    tokens_->push_back({type, static_cast<uint32_t>(offset), std::move(text)});
  }

  void Data(size_t begin, size_t end) {
    if (end > begin) Add(TokenType::kData, begin, std::string(text_.substr(begin, end - begin)));
  }

  char At(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool Starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  size_t NextTag(size_t from) const {
    for (size_t i = text_.find('{', from); i != std::string_view::npos; i = text_.find('{', i + 1)) {
      const char next = At(i + 1);
      if (next == '%' || next == '{' || next == '#') return i;
    }
    return std::string_view::npos;
  }

  // Where the text before a tag ends once the tag's white-space rule has been applied to it.
  size_t DataEnd(size_t tag, char kind, char sign) const {
    const std::string_view data = text_.substr(at_, tag - at_);
    if (sign == '-') return at_ + StripBounds(data, false, true).second;
    if (sign == '+' || kind == '{') return tag;
    const size_t newline = data.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return tag;
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    return StripBounds(data.substr(line), true, false).first == data.size() - line ? at_ + line : tag;
  }

  void SkipSpace() { at_ += StripBounds(text_.substr(at_), true, false).first; }

  bool Comment() {
    const size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) return Fail(open_, "a comment without its end; write #}");
    const char sign = end > at_ ? text_[end - 1] : '\0';
    at_ = end + 2;
    After(sign);
    return true;
  }

  // White space after the end of a block or comment.
  void After(char sign) {
    if (sign == '-') {
      SkipSpace();
    } else if (sign != '+' && At(at_) == '\n') {
      ++at_;
    }
  }

  bool Block() {
    size_t name = at_;
    while (name < text_.size() && IsSpace(text_[name])) ++name;
    if (text_.substr(name, 3) == "raw") {
      size_t end = name + 3;
      while (end < text_.size() && IsSpace(text_[end])) ++end;
      const bool strip = At(end) == '-';
      if (text_.substr(end + (strip ? 1 : 0), 2) == "%}") {
        at_ = end + (strip ? 3 : 2);
        if (strip) SkipSpace();
        return Raw();
      }
    }
    Add(TokenType::kBlockBegin, open_, "");
    return Inside("%}", TokenType::kBlockEnd, true);
  }

  bool Raw() {
    line_starting_ = at_ > 0 && text_[at_ - 1] == '\n';
    for (size_t tag = text_.find("{%", at_); tag != std::string_view::npos; tag = text_.find("{%", tag + 2)) {
      const char sign = At(tag + 2);
      size_t i = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      while (i < text_.size() && IsSpace(text_[i])) ++i;
      if (text_.substr(i, 6) != "endraw") continue;
      i += 6;
      while (i < text_.size() && IsSpace(text_[i])) ++i;
      const char end_sign = At(i);
      if (end_sign == '-' || end_sign == '+') ++i;
      if (text_.substr(i, 2) != "%}") continue;
      Data(at_, DataEnd(tag, '%', sign));
      at_ = i + 2;
      After(end_sign);
      return true;
    }
    return Fail(open_, "a raw block without its end; write {% endraw %}");
  }

  // The tokens of a tag up to its end, which does not count inside brackets.
  bool Inside(std::string_view end, TokenType end_type, bool begun = false) {
    if (!begun) Add(TokenType::kVariableBegin, open_, "");
    std::string brackets;
    bool after_dot = false;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (IsSpace(c)) {
        ++at_;
        continue;
      }
      if (brackets.empty()) {
        const bool sign = c == '-' || (c == '+' && end_type == TokenType::kBlockEnd);
        if (text_.substr(at_ + (sign ? 1 : 0), 2) == end) {
          Add(end_type, at_, "");
          at_ += sign ? 3 : 2;
          if (end_type == TokenType::kBlockEnd) {
            After(sign ? c : '\0');
          } else if (sign) {
            SkipSpace();
          }
          return true;
        }
      }
      const bool dot = after_dot;
      after_dot = false;
      if (IsDigit(c)) {
        if (!Number(dot)) return false;
      } else if (IsNameStart(c)) {
        Name();
      } else if (c == '\'' || c == '"') {
        if (!String()) return false;
      } else if (!Operator(&brackets)) {
        return false;
      } else {
        after_dot = c == '.';
      }
    }
    return Fail(open_, end_type == TokenType::kBlockEnd ? "a block without its end; write %}"
                                                        : "an expression without its end; write }}");
  }

  void Name() {
    const size_t begin = at_;
    while (at_ < text_.size() && (IsNameStart(text_[at_]) || IsDigit(text_[at_]))) ++at_;
    Add(TokenType::kName, begin, std::string(text_.substr(begin, at_ - begin)));
  }

  // Digits with single underscores between them.
  void Digits(std::string* out, int base) {
    for (;;) {
      const int digit = HexDigit(At(at_));
      if (digit >= 0 && digit < base) {
        *out += text_[at_++];
      } else if (At(at_) == '_' && HexDigit(At(at_ + 1)) >= 0 && HexDigit(At(at_ + 1)) < base) {
        ++at_;
      } else {
        return;
      }
    }
  }

  bool Number(bool after_dot) {
    const size_t begin = at_;
    std::string digits;
    const char letter = static_cast<char>(At(at_ + 1) | 0x20);
    const int base = text_[at_] != '0' ? 10 : letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    if (base != 10) {
      at_ += 2;
      digits = std::string("0") + letter;
      Digits(&digits, base);
      if (digits.size() == 2) return Fail(begin, "a number without digits");
      Add(TokenType::kInteger, begin, digits);
      return true;
    }
    Digits(&digits, 10);
    bool is_float = false;
    if (!after_dot) {
      if (At(at_) == '.' && IsDigit(At(at_ + 1))) {
        digits += text_[at_++];
        Digits(&digits, 10);
        is_float = true;
      }
      const size_t sign = At(at_ + 1) == '+' || At(at_ + 1) == '-' ? 1 : 0;
      if ((At(at_) | 0x20) == 'e' && IsDigit(At(at_ + 1 + sign))) {
        digits += text_.substr(at_, 1 + sign);
        at_ += 1 + sign;
        Digits(&digits, 10);
        is_float = true;
      }
    }
    if (!is_float && digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
      return Fail(begin, "a number that begins with 0; write it without, or 0o for octal");
    }
    Add(is_float ? TokenType::kFloat : TokenType::kInteger, begin, digits);
    return true;
  }

  bool String() {
    const size_t begin = at_;
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        out += text_[at_++];
      } else if (!Escape(&out)) {
        return false;
      }
    }
    if (at_ >= text_.size()) return Fail(begin, std::string("a string without its end; write ") + quote);
    ++at_;
    Add(TokenType::kString, begin, std::move(out));
    return true;
  }

  // The escapes of Python's string literals; an unknown one stays as it is.
  bool Escape(std::string* out) {
    const size_t begin = at_;
    const char c = At(at_ + 1);
    static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t simple = kFrom.find(c); c != '\0' && simple != std::string_view::npos) {
      *out += kTo[simple];
      at_ += 2;
      return true;
    }
    if (c == '\n') {
      at_ += 2;
      return true;
    }
    int32_t code = 0;
    if (c >= '0' && c <= '7') {
      at_ += 1;
      for (int i = 0; i < 3 && At(at_) >= '0' && At(at_) <= '7'; ++i) code = code * 8 + (text_[at_++] - '0');
      AppendUtf8(out, static_cast<uint32_t>(code));
      return true;
    }
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      if (c == 'N') return Fail(begin, "\\N{...} is not supported; write the character itself");
      *out += '\\';
      ++at_;
      return true;
    }
    at_ += 2;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = HexDigit(At(at_));
      if (digit < 0) return Fail(begin, "an escape that needs " + std::to_string(digits) + " hexadecimal digits");
      code = code > 0x10FFFF ? code : code * 16 + digit;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return Fail(begin, "an escape that is no Unicode character; write the character itself");
    }
    AppendUtf8(out, static_cast<uint32_t>(code));
    return true;
  }

  bool Operator(std::string* brackets) {
    static constexpr std::array<std::string_view, 27> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                                    "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                                    ">",  "<",  "=",  ".",  ":",  "|",  ",", ";", ""};
    for (const std::string_view op : kOperators) {
      if (op.empty() || !Starts(op)) continue;
      const size_t open = std::string_view("([{").find(op[0]), close = std::string_view(")]}").find(op[0]);
      if (open != std::string_view::npos) {
        *brackets += op[0];
      } else if (close != std::string_view::npos) {
        if (brackets->empty() || brackets->back() != "([{"[close]) {
          const std::string found = std::string("'") + op[0] + "'";
          if (brackets->empty()) return Fail(at_, found + " without its opening bracket");
          const char wanted = ")]}"[std::string_view("([{").find(brackets->back())];
          return Fail(at_, std::string("expected '") + wanted + "', found " + found);
        }
        brackets->pop_back();
      }
      Add(TokenType::kOperator, at_, std::string(op));
      at_ += op.size();
      return true;
    }
    const auto length = static_cast<size_t>(std::max(1, Utf8Length(text_.substr(at_))));
    return Fail(at_, "unexpected " + Quote(text_.substr(at_, length)) + " in a tag");
  }

  std::string_view text_;
  std::vector<Token>* tokens_;
  SourceError* error_;
  size_t at_ = 0;
  size_t open_ = 0;  // where the present tag begins
  bool line_starting_ = true;
};

}  // namespace

std::string NormalizeNewlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
      continue;
    }
    out += '\n';
    if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
  }
  return out;
}

bool Tokenize(std::string_view text, std::vector<Token>* tokens, SourceError* error) {
  return Lexer(text, tokens, error).Run();
}

}  // namespace r1::jinja
