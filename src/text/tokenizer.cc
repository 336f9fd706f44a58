#include "text/tokenizer.h"

#include <algorithm>
#include <queue>

#include "base/quote.h"
#include "text/word_split.h"

namespace r1 {
namespace {

constexpr size_t kMaxTokens = 2'000'000;
constexpr size_t kMaxMerges = 2'000'000;
constexpr size_t kMaxAddedBytes = 1024;  // of one added token: bounds the work per byte of the search for them

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

uint64_t ChildKey(int32_t node, unsigned char byte) { return static_cast<uint64_t>(node) << 8 | byte; }

Error Bad(std::string_view where, const std::string& what) {
  return {ErrorCode::kBadInput, std::string(where) + ": " + what};
}

// Start of the white space at the end of text[begin, end).
size_t TrimEnd(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    size_t at = end - 1;  // back to the first byte of the last character
    while (at > begin && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    const Utf8Character c = Utf8At(text, at);
    if (at + static_cast<size_t>(c.length) != end || !IsUnicodeSpace(c.code)) break;
    end = at;
  }
  return end;
}

size_t SkipSpace(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Utf8Character c = Utf8At(text, at);
    if (!IsUnicodeSpace(c.code)) break;
    at += static_cast<size_t>(c.length);
  }
  return at;
}

}  // namespace

// A word's symbols as a doubly linked list in arrays, and a heap of the pairs that could be joined. An entry is stale,
// and skipped, when the symbols at its place are no longer the ones it was made for.
struct Tokenizer::Scratch {
  struct Symbol {
    int32_t id;
    int32_t previous;
    int32_t next;  // -1 at the end
  };
  struct Candidate {
    int32_t rank;
    int32_t at;  // the left symbol
    int32_t left;
    int32_t right;
    int32_t joined;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  std::vector<Symbol> symbols;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
};

Result<Tokenizer> Tokenizer::FromParts(TokenizerParts parts, std::string_view where) {
  Tokenizer t;
  const size_t count = parts.tokens.size();
  if (count > kMaxTokens) return Bad(where, "more than 2,000,000 tokens");
  if (parts.merges.size() > kMaxMerges) return Bad(where, "more than 2,000,000 merges");
  t.added_index_.assign(count, -1);
  for (size_t i = 0; i < parts.added.size(); ++i) {
    const AddedToken& added = parts.added[i];
    const std::string name = Quote(added.content);
    if (added.content.empty()) return Bad(where, "an added token is empty");
    if (added.content.size() > kMaxAddedBytes) return Bad(where, "added token " + name + " is longer than 1,024 bytes");
    if (added.id < 0 || static_cast<size_t>(added.id) >= count) {
      return Bad(where, "added token " + name + " has the id " + std::to_string(added.id) + " outside the vocabulary");
    }
    if (parts.tokens[static_cast<size_t>(added.id)] != added.content) {
      return Bad(where, "added token " + name + " has the id of " + Quote(parts.tokens[static_cast<size_t>(added.id)]));
    }
    if (!t.added_id_.emplace(added.content, added.id).second)
      return Bad(where, "added token " + name + " occurs twice");
    t.added_index_[static_cast<size_t>(added.id)] = static_cast<int32_t>(i);
  }
  t.byte_id_.fill(-1);
  for (size_t id = 0; id < count; ++id) {
    const std::string& token = parts.tokens[id];
    if (t.added_index_[id] >= 0) continue;
    if (token.empty()) return Bad(where, "token " + std::to_string(id) + " is empty");
    if (!t.plain_id_.emplace(token, static_cast<int32_t>(id)).second) {
      return Bad(where, "token " + Quote(token) + " occurs twice");
    }
    if (token.size() == 1) t.byte_id_[static_cast<unsigned char>(token[0])] = static_cast<int32_t>(id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (t.byte_id_[static_cast<size_t>(byte)] < 0) {
      return Bad(where, "no token for byte " + std::to_string(byte) + ": not a byte-level vocabulary");
    }
  }
  t.merge_.reserve(parts.merges.size());
  for (size_t rank = 0; rank < parts.merges.size(); ++rank) {
    const auto [left, right] = parts.merges[rank];
    const auto plain = [&](int32_t id) {
      return id >= 0 && static_cast<size_t>(id) < count && t.added_index_[static_cast<size_t>(id)] < 0;
    };
    if (!plain(left) || !plain(right))
      return Bad(where, "merge " + std::to_string(rank + 1) + " joins an unknown token");
    const std::string joined = parts.tokens[static_cast<size_t>(left)] + parts.tokens[static_cast<size_t>(right)];
    const auto found = t.plain_id_.find(joined);
    if (found == t.plain_id_.end()) {
      return Bad(where,
                 "merge " + std::to_string(rank + 1) + " makes " + Quote(joined) + ", which is not in the vocabulary");
    }
    if (!t.merge_.emplace(PairKey(left, right), Merge{static_cast<int32_t>(rank), found->second}).second) {
      return Bad(where, "merge " + std::to_string(rank + 1) + " occurs twice");
    }
  }
  t.parts_ = std::move(parts);

  t.trie_end_.push_back(-1);
  for (const AddedToken& added : t.parts_.added) {
    int32_t node = 0;
    for (const char c : added.content) {
      const auto next = static_cast<int32_t>(t.trie_end_.size());
      const auto [entry, fresh] = t.trie_child_.emplace(ChildKey(node, static_cast<unsigned char>(c)), next);
      if (fresh) t.trie_end_.push_back(-1);
      node = entry->second;
    }
    t.trie_end_[static_cast<size_t>(node)] = added.id;
    t.trie_first_[static_cast<unsigned char>(added.content[0])] = true;
  }

  Scratch scratch;
  std::vector<int32_t> ids;
  IdMap whole;
  for (const auto& [token, id] : t.plain_id_) {
    ids.clear();
    t.EncodeWord(token, scratch, ids);
    if (ids.size() == 1 && ids[0] == id) whole.emplace(token, id);
  }
  t.whole_word_ = std::move(whole);
  return t;
}

void Tokenizer::EncodeWord(std::string_view word, Scratch& scratch, std::vector<int32_t>& out) const {
  if (const auto whole = whole_word_.find(word); whole != whole_word_.end()) {
    out.push_back(whole->second);
    return;
  }
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto count = static_cast<int32_t>(word.size());
  symbols.resize(word.size());
  const auto offer = [&](int32_t at) {
    const int32_t next = symbols[static_cast<size_t>(at)].next;
    if (next < 0) return;
    const int32_t left = symbols[static_cast<size_t>(at)].id;
    const int32_t right = symbols[static_cast<size_t>(next)].id;
    if (const auto merge = merge_.find(PairKey(left, right)); merge != merge_.end()) {
      heap.push({merge->second.rank, at, left, right, merge->second.id});
    }
  };
  for (int32_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(word[static_cast<size_t>(i)]);
    symbols[static_cast<size_t>(i)] = {byte_id_[byte], i - 1, i + 1 < count ? i + 1 : -1};
  }
  for (int32_t i = 0; i < count; ++i) offer(i);
  while (!heap.empty()) {
    const Scratch::Candidate best = heap.top();
    heap.pop();
    Scratch::Symbol& left = symbols[static_cast<size_t>(best.at)];
    if (left.id != best.left || left.next < 0 || symbols[static_cast<size_t>(left.next)].id != best.right) continue;
    Scratch::Symbol& right = symbols[static_cast<size_t>(left.next)];
    left.id = best.joined;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.at;
    if (left.previous >= 0) offer(left.previous);
    offer(best.at);
  }
  for (int32_t at = count == 0 ? -1 : 0; at >= 0; at = symbols[static_cast<size_t>(at)].next) {
    out.push_back(symbols[static_cast<size_t>(at)].id);
  }
}

void Tokenizer::EncodeStretch(std::string_view text, Scratch& scratch, std::vector<int32_t>& out) const {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = NextWordEnd(text, begin);
    EncodeWord(text.substr(begin, end - begin), scratch, out);
    begin = end;
  }
}

void Tokenizer::ForEachSegment(std::string_view text,
                               const std::function<void(std::string_view stretch, int32_t id)>& visit) const {
  size_t stretch = 0;  // begin of the text not yet visited
  size_t at = 0;
  while (at < text.size()) {
    if (!trie_first_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    int32_t node = 0;
    int32_t found = -1;
    size_t found_end = 0;
    for (size_t i = at; i < text.size(); ++i) {
      const auto child = trie_child_.find(ChildKey(node, static_cast<unsigned char>(text[i])));
      if (child == trie_child_.end()) break;
      node = child->second;
      if (trie_end_[static_cast<size_t>(node)] >= 0) {
        found = trie_end_[static_cast<size_t>(node)];
        found_end = i + 1;
      }
    }
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& added = parts_.added[static_cast<size_t>(added_index_[static_cast<size_t>(found)])];
    const size_t stretch_end = added.lstrip ? TrimEnd(text, stretch, at) : at;
    if (stretch_end > stretch) visit(text.substr(stretch, stretch_end - stretch), -1);
    visit({}, found);
    at = added.rstrip ? SkipSpace(text, found_end) : found_end;
    stretch = at;
  }
  if (stretch < text.size()) visit(text.substr(stretch), -1);
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text) const {
  std::vector<int32_t> ids;
  Scratch scratch;
  ForEachSegment(text, [&](std::string_view stretch, int32_t id) {
    if (id >= 0) {
      ids.push_back(id);
    } else {
      EncodeStretch(stretch, scratch, ids);
    }
  });
  return ids;
}

std::vector<int32_t> Tokenizer::EncodeContent(std::string_view text) const {
  std::vector<int32_t> ids;
  Scratch scratch;
  EncodeStretch(text, scratch, ids);
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= size()) {
      text += "\xEF\xBF\xBD";
      continue;
    }
    const int32_t added = added_index_[static_cast<size_t>(id)];
    if (skip_special && added >= 0 && parts_.added[static_cast<size_t>(added)].special) continue;
    text += parts_.tokens[static_cast<size_t>(id)];
  }
  return text;
}

int32_t Tokenizer::IdOf(std::string_view token) const {
  if (const auto found = added_id_.find(token); found != added_id_.end()) return found->second;
  const auto found = plain_id_.find(token);
  return found == plain_id_.end() ? -1 : found->second;
}

std::string Tokenizer::TextOf(int32_t id) const {
  return id < 0 || id >= size() ? std::string() : parts_.tokens[static_cast<size_t>(id)];
}

}  // namespace r1
