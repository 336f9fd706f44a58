// Conversations in the template of the built-in world:
//   <|begin|><|user|> CONTENT<|assistant|> <think> REASONING </think> REPLY<|end|>
// What a user says is content and never becomes a marker, whatever it says; what the assistant says is scaffold, so its
// tags are tokens. Each part gets its leading space if it has none. Errors (kBadInput, or kRefused for a tokenizer
// without the markers) begin with `where`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

// <|begin|><|user|> content<|assistant|>
Result<std::vector<int32_t>> ChatPrompt(const Tokenizer& tokenizer, std::string_view content, const std::string& where);
// A piece of the assistant's text, without <|end|>. Special markers in it are refused.
Result<std::vector<int32_t>> ReplyPiece(const Tokenizer& tokenizer, std::string_view text, const std::string& where);
// The whole of the assistant's turn, with <|end|>, which the text may have itself.
Result<std::vector<int32_t>> ChatReply(const Tokenizer& tokenizer, const std::optional<std::string>& reasoning,
                                       std::string_view text, const std::string& where);

}  // namespace r1
