// A stretch of a text's tokens.
#pragma once

#include <cstdint>

namespace r1 {

struct TokenSpan {
  int32_t begin = 0, end = 0;  // tokens[begin .. end)
  friend bool operator==(const TokenSpan&, const TokenSpan&) = default;
};

}  // namespace r1
