// Messages of a conversation in JSON, and the dialogues of hh-rlhf as text:
//   [{"role": "system" | "user" | "assistant", "content": "...", "reasoning_content": "..." (of an assistant)}, ...]
//   "\n\nHuman: ...\n\nAssistant: ..."
// Tool calls and contents of several parts are refused by name. Errors (kBadInput) begin with `where`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "data/model_text.h"

namespace r1 {

// key: what `messages` stands under, for errors.
Result<std::vector<ChatTurn>> ReadMessages(const nlohmann::json& messages, const char* key, const std::string& where);

// Does a text begin as a dialogue of hh-rlhf does?
bool IsDialogue(std::string_view text);
Result<std::vector<ChatTurn>> ReadDialogue(std::string_view text, const std::string& where);

}  // namespace r1
