// Jinja source to tokens, with the white-space rules that chat templates are written for: trim_blocks (the newline
// after a block or comment is dropped), lstrip_blocks (so is white space before one that begins its line), "-" and "+"
// marks, one newline at the end of the file dropped. Linear time, no recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace r1::jinja {

enum class TokenType : uint8_t {
  kData,           // text: what is printed as it is
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kName,
  kInteger,   // text: as written, without underscores
  kFloat,     // text: as written, without underscores
  kString,    // text: decoded
  kOperator,  // text: "==", "(", ...
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  uint32_t offset = 0;
  std::string text;
};

// Newlines become "\n". The text's offsets are those of tokens and errors.
std::string NormalizeNewlines(std::string_view text);

// An error of the source: what, and where in it.
struct SourceError {
  uint32_t offset = 0;
  std::string message;
};

// The last token is kEnd. False: *error says why. text has normal newlines and is valid UTF-8.
bool Tokenize(std::string_view text, std::vector<Token>* tokens, SourceError* error);

}  // namespace r1::jinja
