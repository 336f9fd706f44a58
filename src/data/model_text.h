// How a model's conversations are written in tokens: tokenizer, chat template, special tokens, the tokens that end a
// reply. Two forms:
//   world     the built-in world's (data/chat.h): a tokenizer with its markers and no template beside it
//   template  a chat template (text/chat_template.h): the folder's own, or for a base model without one the plain
//             sentences of R1-Zero (text/r1_zero_template.h)
// Files of a folder: tokenizer.json; tokenizer_config.json with chat_template (a text, or a list of {"name",
// "template"} of which "default" is taken) and bos_token, eos_token, ... (a text, or an object with "content");
// chat_template.jinja, which wins; generation_config.json and, where that has none, config.json: eos_token_id, an id or
// a list. In both forms what a message says is content: no special token comes of it. The date that a template asks for
// is always 26 July 2024, so that the same data give the same tokens on any day.
//
// What is learnt of a conversation. A reply is what follows the prompt with its generation prompt, exactly as when the
// model is sampled from, up to and with the token that ends it:
//   1. A template with {% generation %} blocks says itself what that is.
//   2. Else the prompt of the messages before a reply, with the generation prompt, must be the beginning of the text of
//      these messages with the reply; the reply is the rest. What a template writes after its end token (a line feed)
//      is read, not learnt. Replies whose texts continue each other are one document, with the loss on all of them.
//   3. Where the template does not show the reasoning of a reply (it drops it, or knows none), or its generation prompt
//      opens thinking that its history leaves out, the reply is put together here: the tags that are not in the prompt
//      yet, which are scaffold, reasoning, content, end token. Where a template drops earlier reasoning, each reply is
//      a document of its own, after the history as the template shows it. A reply without reasoning after an open tag
//      closes it at once.
// A template that does none of this is refused (kBadInput) with both texts. <think> tags at the beginning of a reply's
// content are read as its reasoning.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "data/corpus_stream.h"
#include "text/chat_prompt.h"
#include "text/tokenizer.h"

namespace r1 {

struct ChatTurn {
  std::string role;  // "system", "user", "assistant"
  std::string content;
  std::optional<std::string> reasoning = {};  // of an assistant
};
// A user's words, after a system's if there are any.
std::vector<ChatTurn> UserMessages(const std::string& system, const std::string& content);

struct EncodedPrompt {
  std::vector<int32_t> tokens;
  ThinkState think = ThinkState::kOutside;  // of the reply's beginning
  bool tight = false;                       // nothing follows the tag that opens it, not even a line feed
};

// What a folder's files say beside the tokenizer.
struct ModelTextParts {
  std::string chat_template;                                // "": none
  std::string where = "chat template";                      // names it in errors
  std::vector<std::pair<std::string, std::string>> tokens;  // "bos_token", its text; ...
  std::vector<int32_t> stop;  // tokens that end a reply, beside eos_token and what the template writes after one
  // Files that go along into checkpoints, as they are: name and bytes.
  std::vector<std::pair<std::string, std::string>> files;
};

class ModelText {
 public:
  // The built-in world's form. The tokenizer must outlive it and its copies.
  ModelText(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}  // NOLINT(google-explicit-constructor)
  ModelText(Tokenizer&&) = delete;
  static Result<ModelText> Load(const std::string& folder);
  // The template form.
  static Result<ModelText> Make(Tokenizer tokenizer, ModelTextParts parts);

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  bool is_world() const;
  // Tokens that end a reply; empty for a tokenizer of the world without its end marker.
  std::vector<int32_t> stop() const;
  int32_t begin() const;  // ids, or -1
  int32_t end() const;
  // "" for the world's form; else it differs where tokens of the same messages may.
  std::string identity() const;
  const std::vector<std::pair<std::string, std::string>>& files() const;

  // The prompt after which the model replies. Errors begin with `where`, here and below.
  Result<EncodedPrompt> Prompt(const std::vector<ChatTurn>& messages, const std::string& where) const;
  // A reply to be read after such a prompt, with the token that ends it.
  Result<std::vector<int32_t>> Reply(const EncodedPrompt& prompt, const std::optional<std::string>& reasoning,
                                     std::string_view content, const std::string& where) const;
  // A piece of a reply.
  Result<std::vector<int32_t>> Piece(std::string_view text, const std::string& where) const;
  // What is learnt of a conversation, see the top: one document, or one for each reply.
  Result<std::vector<TokenDocument>> Conversation(const std::vector<ChatTurn>& messages,
                                                  const std::string& where) const;
  // A text with its special tokens, learnt as a whole.
  Result<TokenDocument> Scaffold(std::string_view text, const std::string& where) const;

  // A sampled reply as text, without the token that ends it. A tag that the prompt opened stands before it.
  std::string ReplyText(std::span<const int32_t> tokens, ThinkState think) const;
  // The same with the markers of the world's form: <|end|> after a reply that came to its end.
  std::string WorldReplyText(std::span<const int32_t> tokens, ThinkState think) const;

 private:
  struct Own;
  struct Turn;
  bool IsStop(int32_t id) const;
  Result<RenderedPrompt> Render(std::span<const ChatTurn> messages, bool generation_prompt, bool thinking,
                                const std::string& where) const;
  size_t EndOfReply(const RenderedPrompt& text, size_t begin) const;
  Result<Turn> TurnAt(const std::vector<ChatTurn>& messages, size_t at, const std::string& where) const;
  Result<std::vector<TokenDocument>> ByPrefixes(const std::vector<ChatTurn>& messages, const std::string& where) const;
  Result<TokenDocument> Encode(const RenderedPrompt& text, std::span<const RenderedPrompt::Stretch> learnt,
                               const std::string& where) const;

  const Tokenizer* tokenizer_;
  std::shared_ptr<const Own> own_;  // null: only the tokenizer is known
};

}  // namespace r1
