#include "data/sft_data.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/quote.h"
#include "data/chat.h"
#include "data/jsonl.h"
#include "world/words.h"

namespace r1 {

namespace {

using Json = nlohmann::json;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

TokenDocument Join(std::vector<int32_t> prompt, const std::vector<int32_t>& reply) {
  TokenDocument document;
  document.loss_from = static_cast<int32_t>(prompt.size());
  document.tokens = std::move(prompt);
  document.tokens.insert(document.tokens.end(), reply.begin(), reply.end());
  return document;
}

Result<TokenDocument> FromMessages(const Json& messages, const Tokenizer& tokenizer, const std::string& where) {
  if (!messages.is_array()) return Bad(where, "'messages' is not an array");
  std::string content[2];
  std::optional<std::string> reasoning;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string at = where + ": message " + std::to_string(i + 1);
    if (!messages[i].is_object()) return Bad(at, "not an object");
    R1_ASSIGN(const std::string role, StringAt(messages[i], "role", at));
    if (role != "user" && role != "assistant")
      return Bad(at, "role " + Quote(role) + " has no place in the template (user, assistant)");
    if (i >= 2) return Bad(at, "conversations of several turns are not supported: one user and one assistant message");
    if (role != (i == 0 ? "user" : "assistant"))
      return Bad(at, "role " + Quote(role) + ", but the first message is the user's and the second the assistant's");
    R1_ASSIGN(content[i], StringAt(messages[i], "content", at));
    if (!messages[i].contains("reasoning_content") || messages[i]["reasoning_content"].is_null()) continue;
    if (role == "user") return Bad(at, "'reasoning_content' of a user");
    R1_ASSIGN(reasoning, StringAt(messages[i], "reasoning_content", at));
  }
  if (messages.size() != 2) return Bad(where, "'messages' needs one user and one assistant message");
  R1_ASSIGN(std::vector<int32_t> prompt, ChatPrompt(tokenizer, content[0], where));
  R1_ASSIGN(const std::vector<int32_t> reply, ChatReply(tokenizer, reasoning, content[1], where));
  return Join(std::move(prompt), reply);
}

Result<TokenDocument> FromText(std::string_view text, const Tokenizer& tokenizer, const std::string& where) {
  const int32_t begin = tokenizer.IdOf(kBeginMarker), end = tokenizer.IdOf(kEndMarker);
  if (begin < 0 || end < 0)
    return Error{ErrorCode::kRefused,
                 where + ": the tokenizer has no " + Quote(kBeginMarker) + " or no " + Quote(kEndMarker)};
  if (text.empty()) return Bad(where, "the text is empty");
  TokenDocument document{tokenizer.Encode(text), 1};
  if (document.tokens.front() != begin) document.tokens.insert(document.tokens.begin(), begin);
  if (document.tokens.back() != end) document.tokens.push_back(end);
  return document;
}

}  // namespace

Result<std::vector<TokenDocument>> ParseSftData(std::string_view jsonl, std::string_view where,
                                                const Tokenizer& tokenizer) {
  std::vector<TokenDocument> documents;
  R1_TRY(ForEachJsonLine(jsonl, where, [&](const Json& object, int64_t, const std::string& at) -> Status {
    std::string form;
    for (const char* key : {"messages", "prompt", "text"}) {
      if (!object.contains(key)) continue;
      if (!form.empty()) return Bad(at, "'" + form + "' and '" + key + "' are different forms; keep one");
      form = key;
    }
    if (form == "messages") {
      R1_ASSIGN(TokenDocument document, FromMessages(object["messages"], tokenizer, at));
      documents.push_back(std::move(document));
    } else if (form == "prompt") {
      R1_ASSIGN(const std::string prompt, StringAt(object, "prompt", at));
      R1_ASSIGN(const std::string completion, StringAt(object, "completion", at));
      R1_ASSIGN(std::vector<int32_t> ids, ChatPrompt(tokenizer, prompt, at));
      R1_ASSIGN(const std::vector<int32_t> reply, ChatReply(tokenizer, std::nullopt, completion, at));
      documents.push_back(Join(std::move(ids), reply));
    } else if (form == "text") {
      R1_ASSIGN(const std::string text, StringAt(object, "text", at));
      R1_ASSIGN(TokenDocument document, FromText(text, tokenizer, at));
      documents.push_back(std::move(document));
    } else {
      return Bad(at, "there is none of 'messages', 'prompt' with 'completion', 'text'");
    }
    return {};
  }));
  if (documents.empty()) return Bad(std::string(where), "no texts in it");
  return documents;
}

Result<std::vector<TokenDocument>> LoadSftData(const std::string& path, const Tokenizer& tokenizer) {
  R1_ASSIGN(const std::string text, ReadJsonl(path));
  return ParseSftData(text, path, tokenizer);
}

}  // namespace r1
