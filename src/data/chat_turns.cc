// Conversations in a model's chat template: what of them is learnt (model_text.h says how it is decided).
#include <algorithm>

#include "base/quote.h"
#include "data/chat.h"
#include "data/model_text_own.h"
#include "data/traces.h"
#include "world/words.h"

namespace r1 {

namespace {

using Stretch = RenderedPrompt::Stretch;

constexpr size_t kMaxMessages = 1000;
constexpr size_t kShownBytes = 60;

Error Bad(const std::string& where, const std::string& what) { return {ErrorCode::kBadInput, where + ": " + what}; }

// text[begin, end) with its origins; without generation blocks.
RenderedPrompt Slice(const RenderedPrompt& text, size_t begin, size_t end) {
  RenderedPrompt slice;
  slice.text = text.text.substr(begin, end - begin);
  for (const Stretch& s : text.stretches) {
    const size_t from = std::max(s.begin, begin), to = std::min(s.end, end);
    if (from < to) slice.stretches.push_back({from - begin, to - begin, s.content});
  }
  return slice;
}

void Append(std::string_view text, bool content, RenderedPrompt* to) {
  if (text.empty()) return;
  const size_t begin = to->text.size();
  to->text += text;
  if (!to->stretches.empty() && to->stretches.back().content == content) {
    to->stretches.back().end = to->text.size();
  } else {
    to->stretches.push_back({begin, to->text.size(), content});
  }
}

bool StartsWith(const RenderedPrompt& text, const RenderedPrompt& begin) {
  if (!text.text.starts_with(begin.text)) return false;
  const RenderedPrompt slice = Slice(text, 0, begin.text.size());
  return std::equal(slice.stretches.begin(), slice.stretches.end(), begin.stretches.begin(), begin.stretches.end(),
                    [](const Stretch& a, const Stretch& b) { return a.end == b.end && a.content == b.content; });
}

std::string_view WithoutLines(std::string_view text) {
  const size_t begin = text.find_first_not_of('\n');
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of('\n') - begin + 1);
}

// A reply after a prompt whose thinking stands as `think`.
Status AppendReply(ThinkState think, bool tight, const std::optional<std::string>& reasoning, std::string_view content,
                   std::string_view end, const std::string& where, RenderedPrompt* to) {
  const std::string_view thought = reasoning.has_value() ? WithoutLines(*reasoning) : std::string_view();
  if (content.find_first_not_of(" \t\r\n") == std::string_view::npos) return Bad(where, "the reply is empty");
  const std::string_view feed = tight ? "" : "\n";
  if (think == ThinkState::kClosed && !thought.empty())
    return Bad(where, "the reply has reasoning, but the chat template's generation prompt closes thinking before it");
  if (think == ThinkState::kOutside && reasoning.has_value())
    Append(std::string(kThinkMarker) + std::string(feed), false, to);
  if (think == ThinkState::kOpen || (think == ThinkState::kOutside && reasoning.has_value())) {
    Append(thought, true, to);
    Append(std::string(feed) + std::string(kEndThinkMarker) + std::string(feed) + std::string(feed), false, to);
    content = content.substr(content.find_first_not_of('\n'));
  }
  Append(content, true, to);
  Append(end, false, to);
  return {};
}

// <think> tags at the beginning of a content are its reasoning.
ChatTurn Parted(const ChatTurn& message) {
  std::string thinking, content;
  if (message.role != "assistant" || message.reasoning.has_value() ||
      !SplitThinkTags(message.content, &thinking, &content) || content.empty())
    return message;
  return {message.role, content, thinking};
}

Status CheckMessages(const std::vector<ChatTurn>& messages, const std::string& where) {
  if (messages.size() > kMaxMessages)
    return Bad(where, std::to_string(messages.size()) + " messages; at most " + std::to_string(kMaxMessages) +
                          " are read: cut the conversation");
  const auto is_reply = [](const ChatTurn& m) { return m.role == "assistant"; };
  if (!messages.empty() && is_reply(messages[0])) return Bad(where, "the first message is the assistant's");
  if (std::none_of(messages.begin(), messages.end(), is_reply))
    return Bad(where, "there is no message of an assistant: nothing to learn");
  return {};
}

bool Shows(const RenderedPrompt& text, size_t from, const std::optional<std::string>& reasoning) {
  return !reasoning.has_value() || text.text.find(WithoutLines(*reasoning), from) != std::string::npos;
}

}  // namespace

struct ModelText::Turn {
  RenderedPrompt prompt, whole;
  Stretch learnt;  // of whole
};

// After the last of the tokens that end a reply, which is scaffold; npos if there is none.
size_t ModelText::EndOfReply(const RenderedPrompt& text, size_t begin) const {
  for (auto s = text.stretches.rbegin(); s != text.stretches.rend() && s->end > begin; ++s) {
    if (s->content) continue;
    const size_t from = std::max(s->begin, begin);
    const std::string_view scaffold = std::string_view(text.text).substr(from, s->end - from);
    size_t found = std::string::npos;
    for (const int32_t id : own_->stop) {
      const std::string end = tokenizer_->TextOf(id);
      const size_t at = end.empty() ? std::string::npos : scaffold.rfind(end);
      if (at != std::string::npos && (found == std::string::npos || from + at + end.size() > found))
        found = from + at + end.size();
    }
    if (found != std::string::npos) return found;
  }
  return std::string::npos;
}

Result<ModelText::Turn> ModelText::TurnAt(const std::vector<ChatTurn>& messages, size_t at,
                                          const std::string& where) const {
  const std::span<const ChatTurn> all(messages);
  const ChatTurn& reply = messages[at];
  Turn turn;
  const bool thinks = reply.reasoning.has_value();
  R1_ASSIGN(turn.prompt, Render(all.first(at), true, thinks, where));
  R1_ASSIGN(turn.whole, Render(all.first(at + 1), false, thinks, where));
  const size_t begin = turn.prompt.text.size();
  const bool continues = StartsWith(turn.whole, turn.prompt) && turn.whole.text.size() > begin;
  if (continues && Shows(turn.whole, begin, reply.reasoning)) {
    turn.learnt = {begin, std::min(EndOfReply(turn.whole, begin), turn.whole.text.size()), false};
    return turn;
  }
  const ThinkState think = ThinkStateOf(turn.prompt);
  if (!thinks && think != ThinkState::kOpen) {
    size_t same = 0;
    while (same < begin && same < turn.whole.text.size() && turn.prompt.text[same] == turn.whole.text[same]) ++same;
    const auto shown = [&](const std::string& text) { return Quote(text.substr(same), kShownBytes); };
    return Bad(where,
               "the chat template writes a reply otherwise than after its own generation prompt, so what is to "
               "be learnt cannot be told: from byte " +
                   std::to_string(same) + " the prompt has " + shown(turn.prompt.text) + ", the conversation " +
                   shown(turn.whole.text) +
                   "; mark the replies in the template with {% generation %} ... {% endgeneration %}");
  }
  turn.whole = turn.prompt;
  turn.whole.generations.clear();
  R1_TRY(AppendReply(think, turn.prompt.text.ends_with(kThinkMarker), reply.reasoning, reply.content,
                     tokenizer_->TextOf(end()), where, &turn.whole));
  turn.learnt = {begin, turn.whole.text.size(), false};
  return turn;
}

Result<TokenDocument> ModelText::Encode(const RenderedPrompt& text, std::span<const Stretch> learnt,
                                        const std::string& where) const {
  TokenDocument document;
  std::vector<int32_t>& ids = document.tokens;
  std::vector<TokenSpan> spans;
  size_t done = 0;
  // Up to a border no token spans it: the tokens before are those of a prompt that ends there.
  const auto advance = [&](size_t to) {
    std::vector<int32_t> whole = EncodePrompt(*tokenizer_, Slice(text, 0, to));
    if (whole.size() >= ids.size() && std::equal(ids.begin(), ids.end(), whole.begin())) {
      ids = std::move(whole);
    } else {
      const std::vector<int32_t> more = EncodePrompt(*tokenizer_, Slice(text, done, to));
      ids.insert(ids.end(), more.begin(), more.end());
    }
    done = to;
  };
  for (const Stretch& stretch : learnt) {
    advance(stretch.begin);
    const auto begin = static_cast<int32_t>(std::max<size_t>(ids.size(), 1));
    advance(stretch.end);
    if (const auto end = static_cast<int32_t>(ids.size()); end > begin) spans.push_back({begin, end});
  }
  if (spans.empty()) return Bad(where, "the chat template leaves nothing to learn of the replies");
  document.loss_from = spans.front().begin;
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i - 1].end < spans[i].begin) document.masked.push_back({spans[i - 1].end, spans[i].begin});
  }
  return document;
}

Result<std::vector<TokenDocument>> ModelText::ByPrefixes(const std::vector<ChatTurn>& messages,
                                                         const std::string& where) const {
  std::vector<TokenDocument> documents;
  RenderedPrompt whole;
  std::vector<Stretch> learnt;
  const auto flush = [&]() -> Status {
    if (learnt.empty()) return {};
    R1_ASSIGN(TokenDocument document, Encode(whole, learnt, where));
    documents.push_back(std::move(document));
    learnt.clear();
    return {};
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    R1_ASSIGN(Turn turn, TurnAt(messages, i, where + ": message " + std::to_string(i + 1)));
    if (!StartsWith(turn.prompt, whole)) R1_TRY(flush());
    whole = std::move(turn.whole);
    learnt.push_back(turn.learnt);
  }
  R1_TRY(flush());
  return documents;
}

Result<std::vector<TokenDocument>> ModelText::Conversation(const std::vector<ChatTurn>& messages,
                                                           const std::string& where) const {
  if (is_world()) {
    if (messages.size() != 2 || messages[1].role != "assistant")
      return Error{ErrorCode::kRefused, where +
                                            ": the format of the built-in world has one user and one assistant "
                                            "message a conversation; a model with a chat template takes more"};
    R1_ASSIGN(EncodedPrompt prompt, Prompt({messages[0]}, where));
    R1_ASSIGN(const std::vector<int32_t> reply, Reply(prompt, messages[1].reasoning, messages[1].content, where));
    TokenDocument document{std::move(prompt.tokens), 0};
    document.loss_from = static_cast<int32_t>(document.tokens.size());
    document.tokens.insert(document.tokens.end(), reply.begin(), reply.end());
    return std::vector<TokenDocument>{std::move(document)};
  }
  R1_TRY(CheckMessages(messages, where));
  std::vector<ChatTurn> parted;
  for (const ChatTurn& message : messages) parted.push_back(Parted(message));
  while (parted.back().role != "assistant") parted.pop_back();  // nothing replies to it
  R1_ASSIGN(const RenderedPrompt whole, Render(parted, false, parted.back().reasoning.has_value(), where));
  const bool shown =
      std::all_of(parted.begin(), parted.end(), [&](const ChatTurn& m) { return Shows(whole, 0, m.reasoning); });
  if (whole.generations.empty() || !shown) return ByPrefixes(parted, where);
  R1_ASSIGN(TokenDocument document, Encode(whole, whole.generations, where));
  return std::vector<TokenDocument>{std::move(document)};
}

Result<std::vector<int32_t>> ModelText::Reply(const EncodedPrompt& prompt, const std::optional<std::string>& reasoning,
                                              std::string_view content, const std::string& where) const {
  if (is_world()) return ChatReply(*tokenizer_, reasoning, content, where);
  RenderedPrompt text;
  R1_TRY(AppendReply(prompt.think, prompt.tight, reasoning, content, tokenizer_->TextOf(end()), where, &text));
  return EncodePrompt(*tokenizer_, text);
}

}  // namespace r1
