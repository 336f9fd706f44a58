#include "data/sft_data.h"

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/quote.h"
#include "data/chat_messages.h"
#include "data/jsonl.h"

namespace r1 {

namespace {

using Json = nlohmann::json;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// The format of the built-in world has one turn.
Status CheckWorldMessages(const std::vector<ChatTurn>& messages, const std::string& where) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string at = where + ": message " + std::to_string(i + 1);
    const std::string& role = messages[i].role;
    if (role != "user" && role != "assistant")
      return Bad(at, "role " + Quote(role) + " has no place in the template (user, assistant)");
    if (i >= 2) return Bad(at, "conversations of several turns are not supported: one user and one assistant message");
    if (role != (i == 0 ? "user" : "assistant"))
      return Bad(at, "role " + Quote(role) + ", but the first message is the user's and the second the assistant's");
  }
  if (messages.size() != 2) return Bad(where, "'messages' needs one user and one assistant message");
  return {};
}

}  // namespace

Result<std::vector<TokenDocument>> ParseSftData(std::string_view jsonl, std::string_view where, const ModelText& text) {
  std::vector<TokenDocument> documents;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t, const std::string& at) -> Status {
    std::string form;
    for (const char* key : {"messages", "prompt", "text"}) {
      if (!object.contains(key)) continue;
      if (!form.empty()) return Bad(at, "'" + form + "' and '" + key + "' are different forms; keep one");
      form = key;
    }
    if (form.empty()) return Bad(at, "there is none of 'messages', 'prompt' with 'completion', 'text'");
    if (form == "text") {
      R1_ASSIGN(const std::string scaffold, StringAt(object, "text", at));
      R1_ASSIGN(TokenDocument document, text.Scaffold(scaffold, at));
      documents.push_back(std::move(document));
      return {};
    }
    std::vector<ChatTurn> messages;
    if (form == "messages") {
      R1_ASSIGN(messages, ReadMessages(object["messages"], "messages", at));
      if (text.is_world()) R1_TRY(CheckWorldMessages(messages, at));
    } else {
      R1_ASSIGN(const std::string prompt, StringAt(object, "prompt", at));
      R1_ASSIGN(const std::string completion, StringAt(object, "completion", at));
      messages = {{"user", prompt}, {"assistant", completion}};
    }
    R1_ASSIGN(std::vector<TokenDocument> more, text.Conversation(messages, at));
    documents.insert(documents.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    return {};
  }));
  if (documents.empty()) return Bad(std::string(where), "no texts in it");
  return documents;
}

Result<std::vector<TokenDocument>> LoadSftData(const std::string& path, const ModelText& text) {
  R1_ASSIGN(const std::string jsonl, ReadJsonl(path));
  return ParseSftData(jsonl, path, text);
}

}  // namespace r1
