// A strict pull reader of JSON (RFC 8259): one token at a time, no recursion, no tree, memory bounded by one string. It
// serves ParseJson and readers of large headers, which must not pay for a tree of millions of nodes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace r1 {

class JsonScanner {
 public:
  enum class Token {
    kObjectBegin,
    kObjectEnd,
    kArrayBegin,
    kArrayEnd,
    kKey,
    kString,
    kInteger,
    kFloat,
    kTrue,
    kFalse,
    kNull,
    kEnd,
    kError
  };

  JsonScanner(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  // Grammar is enforced: after kError every call gives kError; kEnd comes once the text is read to its end.
  Token Next();
  // Of a kKey or kString: decoded, valid until the next call. Of a number: as written.
  std::string_view value() const { return value_; }
  size_t offset() const { return begin_; }             // where the last token begins, or the error is
  const std::string& error() const { return error_; }  // "expected ':' after the key"
  int depth() const { return static_cast<int>(open_.size()); }

 private:
  enum class Expect { kValue, kValueOrEnd, kKeyOrEnd, kKey, kCommaOrEnd, kDone };
  Token Fail(size_t at, std::string message);
  Token Value();
  Token Key();
  Token Open(char bracket);
  Token Close(char bracket);
  Token Number();
  Token Word(std::string_view word, Token token);
  bool String();
  bool Escape();
  bool Hex4(unsigned* out);
  void SkipSpace();
  void AfterValue() { expect_ = open_.empty() ? Expect::kDone : Expect::kCommaOrEnd; }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  std::string_view text_;
  int max_depth_;
  size_t at_ = 0;
  size_t begin_ = 0;
  Expect expect_ = Expect::kValue;
  bool failed_ = false;
  std::string open_;  // '{' and '[' of the containers we are in
  std::string_view value_;
  std::string decoded_;
  std::string error_;
};

// "LINE:COLUMN" of a byte offset, both from 1, columns in characters.
std::string LineColumn(std::string_view text, size_t offset);

}  // namespace r1
