#include "data/chat.h"

#include "base/quote.h"
#include "world/words.h"

namespace r1 {

namespace {

Result<int32_t> Marker(const Tokenizer& tokenizer, std::string_view marker, const std::string& where) {
  const int32_t id = tokenizer.IdOf(marker);
  if (id >= 0) return id;
  return Error{ErrorCode::kRefused, where + ": the tokenizer has no token " + Quote(marker)};
}

std::string Spaced(std::string_view text) { return (text.empty() || text[0] == ' ' ? "" : " ") + std::string(text); }

}  // namespace

Result<std::vector<int32_t>> ChatPrompt(const Tokenizer& tokenizer, std::string_view content,
                                        const std::string& where) {
  R1_ASSIGN(const int32_t begin, Marker(tokenizer, kBeginMarker, where));
  R1_ASSIGN(const int32_t user, Marker(tokenizer, kUserMarker, where));
  R1_ASSIGN(const int32_t assistant, Marker(tokenizer, kAssistantMarker, where));
  if (content.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return Error{ErrorCode::kBadInput, where + ": the prompt is empty"};
  std::vector<int32_t> ids = tokenizer.EncodeContent(Spaced(content));
  ids.insert(ids.begin(), {begin, user});
  ids.push_back(assistant);
  return ids;
}

Result<std::vector<int32_t>> ReplyPiece(const Tokenizer& tokenizer, std::string_view text, const std::string& where) {
  std::vector<int32_t> ids = tokenizer.Encode(Spaced(text));
  for (const AddedToken& token : tokenizer.parts().added) {
    if (!token.special) continue;
    for (int32_t id : ids) {
      if (id == token.id)
        return Error{ErrorCode::kBadInput, where + ": the reply has " + Quote(token.content) + " in it"};
    }
  }
  return ids;
}

Result<std::vector<int32_t>> ChatReply(const Tokenizer& tokenizer, const std::optional<std::string>& reasoning,
                                       std::string_view text, const std::string& where) {
  R1_ASSIGN(const int32_t end, Marker(tokenizer, kEndMarker, where));
  std::string whole;
  if (reasoning.has_value())
    whole = " " + std::string(kThinkMarker) + Spaced(*reasoning) + " " + std::string(kEndThinkMarker);
  if (text.ends_with(kEndMarker)) text.remove_suffix(kEndMarker.size());
  R1_ASSIGN(std::vector<int32_t> ids, ReplyPiece(tokenizer, whole + Spaced(text), where));
  if (ids.empty()) return Error{ErrorCode::kBadInput, where + ": the reply is empty"};
  ids.push_back(end);
  return ids;
}

}  // namespace r1
