#include "data/chat_messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "data/jsonl.h"

namespace r1 {

namespace {

constexpr std::string_view kHuman = "\n\nHuman:", kAssistant = "\n\nAssistant:";

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

Result<std::vector<ChatTurn>> ReadMessages(const nlohmann::json& messages, const char* key, const std::string& where) {
  if (!messages.is_array()) return Bad(where, std::string("'") + key + "' is not an array");
  std::vector<ChatTurn> read;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string at = where + ": message " + std::to_string(i + 1);
    if (!messages[i].is_object()) return Bad(at, "not an object");
    ChatTurn message;
    R1_ASSIGN(message.role, StringAt(messages[i], "role", at));
    if (message.role != "system" && message.role != "user" && message.role != "assistant")
      return Bad(at, "role " + Quote(message.role) + " is not known (system, user, assistant)");
    if (const auto calls = messages[i].find("tool_calls"); calls != messages[i].end() && !calls->is_null())
      return Bad(at, "'tool_calls' are not read; leave such conversations out");
    R1_ASSIGN(message.content, StringAt(messages[i], "content", at));
    const auto reasoning = messages[i].find("reasoning_content");
    if (reasoning != messages[i].end() && !reasoning->is_null()) {
      if (message.role != "assistant") return Bad(at, "'reasoning_content' of a " + message.role);
      R1_ASSIGN(message.reasoning, StringAt(messages[i], "reasoning_content", at));
    }
    read.push_back(std::move(message));
  }
  return read;
}

bool IsDialogue(std::string_view text) { return text.starts_with(kHuman); }

Result<std::vector<ChatTurn>> ReadDialogue(std::string_view text, const std::string& where) {
  if (!IsDialogue(text)) return Bad(where, "the dialogue does not begin with an empty line and \"Human:\"");
  std::vector<ChatTurn> read;
  bool human = true;
  for (size_t at = kHuman.size(); at <= text.size();) {
    const size_t next_human = text.find(kHuman, at), next_reply = text.find(kAssistant, at);
    const size_t end = std::min({next_human, next_reply, text.size()});
    const std::string said(Trimmed(text.substr(at, end - at)));
    const char* role = human ? "user" : "assistant";
    if (!read.empty() && read.back().role == role) {  // some rows have a speaker twice in a row
      read.back().content += "\n\n" + said;
    } else {
      read.push_back({role, said});
    }
    if (end == text.size()) break;
    human = end == next_human;
    at = end + (human ? kHuman : kAssistant).size();
  }
  return read;
}

}  // namespace r1
