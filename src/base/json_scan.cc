#include "base/json_scan.h"

#include <algorithm>

#include "base/quote.h"
#include "base/utf8.h"

namespace r1 {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

JsonScanner::Token JsonScanner::Fail(size_t at, std::string message) {
  failed_ = true;
  begin_ = at;
  error_ = std::move(message);
  return Token::kError;
}

void JsonScanner::SkipSpace() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
    ++at_;
}

JsonScanner::Token JsonScanner::Next() {
  if (failed_) return Token::kError;
  SkipSpace();
  begin_ = at_;
  if (expect_ == Expect::kDone) {
    return at_ == text_.size() ? Token::kEnd : Fail(at_, "something follows the end of the document");
  }
  if (at_ == text_.size()) return Fail(at_, "the text ends too early");
  if (expect_ == Expect::kCommaOrEnd) {
    const char close = open_.back() == '{' ? '}' : ']';
    if (text_[at_] == close) return Close(close);
    if (text_[at_] != ',') return Fail(at_, std::string("expected ',' or '") + close + "'");
    ++at_;
    SkipSpace();
    begin_ = at_;
    expect_ = open_.back() == '{' ? Expect::kKey : Expect::kValue;
  }
  if (expect_ == Expect::kKeyOrEnd && Peek() == '}') return Close('}');
  if (expect_ == Expect::kKey || expect_ == Expect::kKeyOrEnd) return Key();
  if (expect_ == Expect::kValueOrEnd && Peek() == ']') return Close(']');
  return Value();
}

JsonScanner::Token JsonScanner::Open(char bracket) {
  if (depth() >= max_depth_) return Fail(at_, "nested deeper than " + std::to_string(max_depth_) + " levels");
  ++at_;
  open_ += bracket;
  expect_ = bracket == '{' ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
  return bracket == '{' ? Token::kObjectBegin : Token::kArrayBegin;
}

JsonScanner::Token JsonScanner::Close(char bracket) {
  ++at_;
  open_.pop_back();
  AfterValue();
  return bracket == '}' ? Token::kObjectEnd : Token::kArrayEnd;
}

JsonScanner::Token JsonScanner::Key() {
  if (Peek() != '"') return Fail(at_, "expected a key in double quotes");
  if (!String()) return Token::kError;
  const size_t key = begin_;
  SkipSpace();
  if (at_ == text_.size() || text_[at_] != ':') return Fail(at_, "expected ':' after the key");
  ++at_;
  begin_ = key;
  expect_ = Expect::kValue;
  return Token::kKey;
}

JsonScanner::Token JsonScanner::Value() {
  if (at_ == text_.size()) return Fail(at_, "the text ends too early");
  const char c = text_[at_];
  switch (c) {
    case '{':
    case '[':
      return Open(c);
    case '"':
      if (!String()) return Token::kError;
      AfterValue();
      return Token::kString;
    case 't':
      return Word("true", Token::kTrue);
    case 'f':
      return Word("false", Token::kFalse);
    case 'n':
      return Word("null", Token::kNull);
    default:
      if (c == '-' || IsDigit(c)) return Number();
      return Fail(at_, "expected a value, found " +
                           Quote(text_.substr(at_, static_cast<size_t>(std::max(1, Utf8Length(text_.substr(at_)))))));
  }
}

JsonScanner::Token JsonScanner::Word(std::string_view word, Token token) {
  if (text_.substr(at_, word.size()) != word) return Fail(at_, "expected a value");
  at_ += word.size();
  value_ = word;
  AfterValue();
  return token;
}

JsonScanner::Token JsonScanner::Number() {
  const size_t begin = at_;
  bool integer = true;
  const auto digits = [&] {
    const size_t from = at_;
    while (IsDigit(Peek())) ++at_;
    return at_ > from;
  };
  if (Peek() == '-') ++at_;
  if (Peek() == '0') {
    ++at_;
    if (IsDigit(Peek())) return Fail(begin, "a number may not begin with 0");
  } else if (!digits()) {
    return Fail(at_, "expected a digit");
  }
  if (Peek() == '.') {
    integer = false;
    ++at_;
    if (!digits()) return Fail(at_, "expected a digit");
  }
  if (Peek() == 'e' || Peek() == 'E') {
    integer = false;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    if (!digits()) return Fail(at_, "expected a digit");
  }
  value_ = text_.substr(begin, at_ - begin);
  AfterValue();
  return integer ? Token::kInteger : Token::kFloat;
}

bool JsonScanner::Hex4(unsigned* out) {
  unsigned code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = Peek();
    const char lower = static_cast<char>(c | 0x20);
    if (!IsDigit(c) && !(lower >= 'a' && lower <= 'f')) {
      Fail(at_, "expected four hexadecimal digits after \\u");
      return false;
    }
    code = code * 16 + static_cast<unsigned>(IsDigit(c) ? c - '0' : lower - 'a' + 10);
  }
  *out = code;
  return true;
}

// At a backslash; appends what it stands for.
bool JsonScanner::Escape() {
  const size_t begin = at_++;
  const char c = Peek();
  ++at_;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      decoded_ += c;
      return true;
    case 'b':
      decoded_ += '\b';
      return true;
    case 'f':
      decoded_ += '\f';
      return true;
    case 'n':
      decoded_ += '\n';
      return true;
    case 'r':
      decoded_ += '\r';
      return true;
    case 't':
      decoded_ += '\t';
      return true;
    case 'u':
      break;
    default:
      Fail(begin, "unknown escape in a string");
      return false;
  }
  unsigned code = 0;
  if (!Hex4(&code)) return false;
  if (code >= 0xd800 && code <= 0xdfff) {
    unsigned low = 0;
    if (code > 0xdbff || text_.substr(at_, 2) != "\\u") {
      Fail(begin, "half of a surrogate pair in a string");
      return false;
    }
    at_ += 2;
    if (!Hex4(&low)) return false;
    if (low < 0xdc00 || low > 0xdfff) {
      Fail(begin, "half of a surrogate pair in a string");
      return false;
    }
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  AppendUtf8(&decoded_, code);
  return true;
}

// At the opening quote; value_ is the text between the quotes itself unless there are escapes in it.
bool JsonScanner::String() {
  const size_t quote = at_++;
  size_t copied = at_;
  bool escaped = false;
  decoded_.clear();
  for (;;) {
    if (at_ >= text_.size()) {
      Fail(quote, "a string without its closing quote");
      return false;
    }
    const unsigned char c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') break;
    if (c == '\\') {
      decoded_.append(text_, copied, at_ - copied);
      if (!Escape()) return false;
      copied = at_;
      escaped = true;
    } else if (c < 0x20) {
      Fail(at_, "a control character in a string");
      return false;
    } else if (c < 0x80) {
      ++at_;
    } else if (const int length = Utf8Length(text_.substr(at_)); length > 0) {
      at_ += static_cast<size_t>(length);
    } else {
      Fail(at_, "invalid UTF-8 in a string");
      return false;
    }
  }
  if (escaped) {
    decoded_.append(text_, copied, at_ - copied);
    value_ = decoded_;
  } else {
    value_ = text_.substr(quote + 1, at_ - quote - 1);
  }
  ++at_;
  return true;
}

std::string LineColumn(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const std::string_view line = newline == std::string_view::npos ? before : before.substr(newline + 1);
  const auto column = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }) + 1;
  return std::to_string(lines) + ":" + std::to_string(column);
}

}  // namespace r1
