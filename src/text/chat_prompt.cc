#include "text/chat_prompt.h"

#include <algorithm>

#include "text/word_split.h"

namespace r1 {
namespace {

// No part of an added token that is valid UTF-8, and no white space.
constexpr char kMask = '\xFF';

struct Found {
  size_t begin, end;
  const AddedToken* token;
};

size_t SkipSpace(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Utf8Character c = Utf8At(text, at);
    if (!IsUnicodeSpace(c.code)) break;
    at += static_cast<size_t>(c.length);
  }
  return at;
}

// Where the white space before `end` begins, not before `begin`.
size_t SpaceBefore(std::string_view text, size_t begin, size_t end) {
  size_t at = begin, space = begin;
  while (at < end) {
    const Utf8Character c = Utf8At(text, at);
    at += static_cast<size_t>(c.length);
    if (!IsUnicodeSpace(c.code)) space = at;
  }
  return std::min(space, end);
}

bool IsSpace(std::string_view text) { return SkipSpace(text, 0) == text.size(); }

// The added tokens of the scaffold. The tokenizer finds them in a copy whose content is masked.
std::vector<Found> ScaffoldTokens(const Tokenizer& tokenizer, const RenderedPrompt& prompt) {
  std::string masked = prompt.text;
  for (const RenderedPrompt::Stretch& stretch : prompt.stretches) {
    if (stretch.content)
      std::fill(masked.begin() + static_cast<ptrdiff_t>(stretch.begin),
                masked.begin() + static_cast<ptrdiff_t>(stretch.end), kMask);
  }
  std::vector<const AddedToken*> added(static_cast<size_t>(tokenizer.size()), nullptr);
  for (const AddedToken& token : tokenizer.parts().added) added[static_cast<size_t>(token.id)] = &token;
  std::vector<Found> found;
  size_t at = 0;
  tokenizer.ForEachSegment(masked, [&](std::string_view stretch, int32_t id) {
    if (id < 0) {
      at = static_cast<size_t>(stretch.data() - masked.data()) + stretch.size();
      return;
    }
    const AddedToken* token = added[static_cast<size_t>(id)];
    // Only white space that the token swallows can lie between.
    const size_t begin = masked.find(token->content, at);
    at = begin + token->content.size();
    found.push_back({begin, at, token});
  });
  return found;
}

}  // namespace

std::vector<int32_t> EncodePrompt(const Tokenizer& tokenizer, const RenderedPrompt& prompt) {
  std::vector<int32_t> ids;
  const std::string_view text = prompt.text;
  size_t plain = 0;  // begin of what is not yet encoded
  const auto encode = [&](size_t end) {
    if (end <= plain) return;
    const std::vector<int32_t> part = tokenizer.EncodeContent(text.substr(plain, end - plain));
    ids.insert(ids.end(), part.begin(), part.end());
  };
  for (const Found& found : ScaffoldTokens(tokenizer, prompt)) {
    if (found.begin < plain) continue;  // white space that the token before swallowed
    encode(found.token->lstrip ? SpaceBefore(text, plain, found.begin) : found.begin);
    ids.push_back(found.token->id);
    plain = found.token->rstrip ? SkipSpace(text, found.end) : found.end;
  }
  encode(text.size());
  return ids;
}

ThinkState ThinkStateOf(const RenderedPrompt& prompt, std::string_view open_tag, std::string_view close_tag) {
  const std::string_view text = prompt.text;
  for (auto stretch = prompt.stretches.rbegin(); stretch != prompt.stretches.rend(); ++stretch) {
    if (stretch->content) continue;
    const std::string_view scaffold = text.substr(stretch->begin, stretch->end - stretch->begin);
    const size_t open = scaffold.rfind(open_tag), close = scaffold.rfind(close_tag);
    if (open == std::string_view::npos && close == std::string_view::npos) {
      if (IsSpace(scaffold)) continue;
      return ThinkState::kOutside;
    }
    const bool opens = close == std::string_view::npos || (open != std::string_view::npos && open > close);
    const size_t after = opens ? open + open_tag.size() : close + close_tag.size();
    if (!IsSpace(scaffold.substr(after))) return ThinkState::kOutside;
    return opens ? ThinkState::kOpen : ThinkState::kClosed;
  }
  return ThinkState::kOutside;
}

const char* ThinkStateName(ThinkState state) {
  return state == ThinkState::kOpen ? "open" : state == ThinkState::kClosed ? "closed" : "outside";
}

}  // namespace r1
