#include "text/tokenizer.h"

#include <algorithm>

#include "base/quote.h"
#include "base/utf8.h"
#include "text/token_spelling.h"

namespace r1 {
namespace {

constexpr size_t kMaxTokens = 2'000'000;
constexpr size_t kMaxMerges = 2'000'000;
constexpr size_t kMaxAddedBytes = 1024;                // of one added token
constexpr size_t kMaxAllAddedBytes = size_t{8} << 20;  // of all: bounds the memory of the search for them
constexpr size_t kMaxTokenBytes = size_t{1} << 20;     // of one other token: an id's length stays far below 2^31

Error Bad(std::string_view where, const std::string& what) {
  return {ErrorCode::kBadInput, std::string(where) + ": " + what};
}

Error Crowded(std::string_view where, const char* what) {
  return Bad(where, std::string(what) + " are chosen so that no table holds them in bounded time");
}

// Start of the white space at the end of text[begin, end).
size_t TrimEnd(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    const Utf8Character c = Utf8Before(text, begin, end);
    if (!IsUnicodeSpace(c.code)) break;
    end -= static_cast<size_t>(c.length);
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

// Never part of valid UTF-8; DeepSeek-LLM, for one, has no plain token for them.
bool NeverInUtf8(size_t byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  return !(begin > 0 && IsWordCharacter(Utf8Before(text, 0, begin).code)) &&
         !(end < text.size() && IsWordCharacter(Utf8At(text, end).code));
}

}  // namespace

Result<Tokenizer> Tokenizer::FromParts(TokenizerParts parts, std::string_view where) {
  Tokenizer t;
  t.parts_ = std::move(parts);
  const size_t count = t.parts_.tokens.size();
  if (count > kMaxTokens) return Bad(where, "more than 2,000,000 tokens");
  if (t.parts_.merges.size() > kMaxMerges) return Bad(where, "more than 2,000,000 merges");
  const bool characters = t.parts_.alphabet == Alphabet::kCharacters;
  R1_CHECK(characters == (t.parts_.pattern == WordPattern::kWhole) &&
               characters == (t.parts_.normalizer == Normalizer::kSpaceBefore),
           "an alphabet with a pattern or normalizer of the other");
  for (const std::vector<int32_t>* ids : {&t.parts_.before, &t.parts_.after}) {
    for (const int32_t id : *ids) {
      if (id < 0 || static_cast<size_t>(id) >= count) {
        return Bad(where, "the token " + std::to_string(id) + " to put around a text is outside the vocabulary");
      }
    }
  }
  R1_TRY(t.AddAdded(where));
  R1_TRY(t.AddPlain(where));
  R1_TRY(t.AddMerges(where));
  t.MakeFinders();
  t.whole_word_.assign(count, t.parts_.ignore_merges);
  if (t.parts_.ignore_merges || characters) return t;
  BpeMerger::Scratch scratch;
  std::vector<int32_t> ids;
  for (size_t id = 0; id < count; ++id) {
    if (t.added_index_[id] >= 0) continue;
    ids.clear();
    t.EncodeWord(t.parts_.tokens[id], scratch, ids);
    t.whole_word_[id] = ids.size() == 1 && ids[0] == static_cast<int32_t>(id);
  }
  return t;
}

Status Tokenizer::AddAdded(std::string_view where) {
  const size_t count = parts_.tokens.size();
  added_index_.assign(count, -1);
  added_.Reserve(parts_.added.size());
  size_t bytes = 0;
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const AddedToken& added = parts_.added[i];
    const std::string name = Quote(added.content);
    if (added.content.empty()) return Bad(where, "an added token is empty");
    if (added.content.size() > kMaxAddedBytes) return Bad(where, "added token " + name + " is longer than 1,024 bytes");
    bytes += added.content.size();
    if (bytes > kMaxAllAddedBytes) return Bad(where, "the added tokens are longer than 8 MiB together");
    if (added.id < 0 || static_cast<size_t>(added.id) >= count) {
      return Bad(where, "added token " + name + " has the id " + std::to_string(added.id) + " outside the vocabulary");
    }
    if (parts_.tokens[static_cast<size_t>(added.id)] != added.content) {
      return Bad(where,
                 "added token " + name + " has the id of " + Quote(parts_.tokens[static_cast<size_t>(added.id)]));
    }
    const int32_t there = added_.Insert(parts_.tokens, added.id);
    if (there < 0) return Crowded(where, "the added tokens");
    if (there != added.id || added_index_[static_cast<size_t>(added.id)] >= 0) {
      return Bad(where, "added token " + name + " occurs twice");
    }
    added_index_[static_cast<size_t>(added.id)] = static_cast<int32_t>(i);
  }
  return {};
}

Status Tokenizer::AddPlain(std::string_view where) {
  const bool characters = parts_.alphabet == Alphabet::kCharacters;
  byte_id_.fill(-1);
  is_byte_.assign(parts_.tokens.size(), false);
  if (characters) {
    if (parts_.byte_tokens.size() != byte_id_.size()) return Bad(where, "there are no 256 tokens <0x00> to <0xFF>");
    for (size_t byte = 0; byte < byte_id_.size(); ++byte) {
      const int32_t id = parts_.byte_tokens[byte];
      if (id < 0 || id >= size() || parts_.tokens[static_cast<size_t>(id)] != std::string(1, static_cast<char>(byte))) {
        return Bad(where, "no token for byte " + std::to_string(byte));
      }
      if (AddedOf(id) != nullptr) return Bad(where, "the token of byte " + std::to_string(byte) + " is an added token");
      byte_id_[byte] = id;
      is_byte_[static_cast<size_t>(id)] = true;
    }
  }
  plain_.Reserve(parts_.tokens.size());
  for (int32_t id = 0; id < size(); ++id) {
    const auto index = static_cast<size_t>(id);
    const std::string& token = parts_.tokens[index];
    if (added_index_[index] >= 0 || is_byte_[index]) continue;
    if (token.empty()) return Bad(where, "token " + std::to_string(id) + " is empty");
    if (token.size() > kMaxTokenBytes) return Bad(where, "token " + std::to_string(id) + " is longer than 1 MiB");
    if (characters && FirstInvalidUtf8(token) < token.size()) {
      return Bad(where, "token " + std::to_string(id) + " is not valid UTF-8");
    }
    const int32_t there = plain_.Insert(parts_.tokens, id);
    if (there < 0) return Crowded(where, "the tokens");
    if (there != id) return Bad(where, "token " + Quote(token) + " occurs twice");
    if (!characters && token.size() == 1) byte_id_[static_cast<unsigned char>(token[0])] = id;
  }
  for (size_t byte = 0; byte < byte_id_.size(); ++byte) {
    if (byte_id_[byte] < 0 && !NeverInUtf8(byte)) {
      return Bad(where, "no token for byte " + std::to_string(byte) + ": not a byte-level vocabulary");
    }
  }
  return {};
}

// The units of a product may be joined; see BpeMerger::Allow.
void Tokenizer::AllowUnits(int32_t id) {
  const std::string& token = parts_.tokens[static_cast<size_t>(id)];
  int32_t last = -1;
  for (size_t at = 0; at < token.size();) {
    int32_t unit = byte_id_[static_cast<unsigned char>(token[at])];
    size_t length = 1;
    if (parts_.alphabet == Alphabet::kCharacters) {
      length = static_cast<size_t>(Utf8At(token, at).length);
      unit = plain_.Find(parts_.tokens, std::string_view(token).substr(at, length));
    }
    if (last >= 0 && unit >= 0) merger_.Allow(last, unit);
    last = unit;
    at += length;
  }
}

Status Tokenizer::AddMerges(std::string_view where) {
  const auto unit_count = [&](const std::string& token) {
    if (parts_.alphabet == Alphabet::kBytes) return static_cast<int32_t>(token.size());
    return static_cast<int32_t>(std::count_if(token.begin(), token.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  std::vector<int32_t> lengths;
  lengths.reserve(parts_.tokens.size());
  for (size_t id = 0; id < parts_.tokens.size(); ++id) {
    lengths.push_back(is_byte_[id] ? 1 : unit_count(parts_.tokens[id]));
  }
  merger_.Start(std::move(lengths), parts_.merges.size());
  const auto plain = [&](int32_t id) {
    return id >= 0 && id < size() && added_index_[static_cast<size_t>(id)] < 0 && !is_byte_[static_cast<size_t>(id)];
  };
  R1_CHECK(parts_.merge_ranks.empty() || parts_.merge_ranks.size() == parts_.merges.size(), "a rank for every merge");
  std::vector<bool> seen(parts_.tokens.size(), false);
  std::string joined;
  for (size_t i = 0; i < parts_.merges.size(); ++i) {
    const auto [left, right] = parts_.merges[i];
    const auto name = [&] { return "merge " + std::to_string(i + 1); };
    if (!plain(left) || !plain(right)) return Bad(where, name() + " joins an unknown token");
    joined = parts_.tokens[static_cast<size_t>(left)];
    joined += parts_.tokens[static_cast<size_t>(right)];
    const int32_t id = plain_.Find(parts_.tokens, joined);
    if (id < 0) return Bad(where, name() + " makes " + Quote(joined) + ", which is not in the vocabulary");
    const int32_t rank = parts_.merge_ranks.empty() ? static_cast<int32_t>(i) : parts_.merge_ranks[i];
    R1_CHECK(rank >= 0 && rank < static_cast<int32_t>(kMaxMerges), "a merge's rank");
    switch (merger_.Add(left, right, {rank, id})) {
      case BpeMerger::Added::kYes:
        break;
      case BpeMerger::Added::kTwice:
        return Bad(where, name() + " occurs twice");
      case BpeMerger::Added::kCrowded:
        return Crowded(where, "the merges");
    }
    if (!seen[static_cast<size_t>(id)]) AllowUnits(id);
    seen[static_cast<size_t>(id)] = true;
  }
  return {};
}

void Tokenizer::MakeFinders() {
  std::vector<std::string> raw;
  std::vector<std::string> normalized;
  std::string buffer;
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const AddedToken& added = parts_.added[i];
    if (!added.normalized) {
      raw.push_back(added.content);
      raw_finder_.which.push_back(static_cast<int32_t>(i));
      continue;
    }
    // Two may have one normalized form: the later one is found, as in a map that is written twice.
    std::string form(Normalize(added.content, &buffer));
    normalized.push_back(std::move(form));
    normalized_finder_.which.push_back(static_cast<int32_t>(i));
  }
  raw_finder_.matcher = AddedMatcher(raw);
  // AddedMatcher wants different texts.
  std::vector<size_t> order(normalized.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return normalized[a] != normalized[b] ? normalized[a] < normalized[b] : a > b; });
  std::vector<std::string> texts;
  std::vector<int32_t> which;
  for (const size_t i : order) {
    if (!texts.empty() && texts.back() == normalized[i]) continue;
    texts.push_back(normalized[i]);
    which.push_back(normalized_finder_.which[i]);
  }
  normalized_finder_.which = std::move(which);
  normalized_finder_.matcher = AddedMatcher(texts);
}

std::string_view Tokenizer::Normalize(std::string_view text, std::string* buffer) const {
  switch (parts_.normalizer) {
    case Normalizer::kNone:
      break;
    case Normalizer::kNfc:
      return ToNfc(text, buffer);
    case Normalizer::kSpaceBefore:
      if (text.empty()) break;
      *buffer = ReadSpelledCharacters(text);
      buffer->insert(buffer->begin(), ' ');
      return *buffer;
  }
  return text;
}

void Tokenizer::EncodeWord(std::string_view word, BpeMerger::Scratch& scratch, std::vector<int32_t>& out) const {
  if (parts_.alphabet == Alphabet::kBytes) {
    if (const int32_t id = plain_.Find(parts_.tokens, word); id >= 0 && whole_word_[static_cast<size_t>(id)]) {
      out.push_back(id);
      return;
    }
    for (const char c : word) {
      const int32_t unit = byte_id_[static_cast<unsigned char>(c)];
      if (unit >= 0) merger_.Push(unit, scratch, out);
      for (const unsigned char replacement : {0xEF, 0xBF, 0xBD}) {
        if (unit < 0) merger_.Push(byte_id_[replacement], scratch, out);
      }
    }
  } else {
    for (size_t at = 0; at < word.size();) {
      const Utf8Character c = Utf8At(word, at);
      const std::string_view character = word.substr(at, static_cast<size_t>(c.length));
      const int32_t id = c.code < 0 ? -1 : plain_.Find(parts_.tokens, character);
      if (id >= 0) merger_.Push(id, scratch, out);
      for (const char byte : id >= 0 ? std::string_view() : character) {
        merger_.Push(byte_id_[static_cast<unsigned char>(byte)], scratch, out);
      }
      at += character.size();
    }
  }
  merger_.Flush(scratch, out);
}

void Tokenizer::EncodeNormalized(std::string_view text, BpeMerger::Scratch& scratch, std::vector<int32_t>& out) const {
  WordSplitter words(parts_.pattern, text);
  for (std::string_view word; words.Next(&word);) EncodeWord(word, scratch, out);
}

void Tokenizer::Cut(const Finder& finder, std::string_view text,
                    const std::function<void(std::string_view stretch, int32_t id)>& visit) const {
  size_t at = 0;  // begin of the text not yet visited
  for (AddedMatcher::Matches matches = finder.matcher.FindAll(text); !matches.empty();) {
    const AddedMatcher::Match match = matches.back();
    matches.pop_back();
    if (match.begin < at) continue;
    const AddedToken& added = parts_.added[static_cast<size_t>(finder.which[static_cast<size_t>(match.index)])];
    if (added.single_word && !StandsAlone(text, match.begin, match.end)) {
      while (!matches.empty() && matches.back().begin < match.end) matches.pop_back();
      continue;
    }
    const size_t end = added.lstrip ? TrimEnd(text, at, match.begin) : match.begin;
    if (end > at) visit(text.substr(at, end - at), -1);
    visit({}, added.id);
    at = added.rstrip ? SkipSpace(text, match.end) : match.end;
  }
  if (at < text.size()) visit(text.substr(at), -1);
}

void Tokenizer::ForEachSegment(std::string_view text,
                               const std::function<void(std::string_view stretch, int32_t id)>& visit) const {
  std::string buffer;
  Cut(raw_finder_, text, [&](std::string_view stretch, int32_t id) {
    if (id >= 0) {
      visit({}, id);
    } else {
      Cut(normalized_finder_, Normalize(stretch, &buffer), visit);
    }
  });
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool around) const {
  std::vector<int32_t> ids;
  if (around) ids = parts_.before;
  BpeMerger::Scratch scratch;
  ForEachSegment(text, [&](std::string_view stretch, int32_t id) {
    if (id >= 0) {
      ids.push_back(id);
    } else {
      EncodeNormalized(stretch, scratch, ids);
    }
  });
  if (around) ids.insert(ids.end(), parts_.after.begin(), parts_.after.end());
  return ids;
}

std::vector<int32_t> Tokenizer::EncodeContent(std::string_view text) const {
  std::vector<int32_t> ids;
  BpeMerger::Scratch scratch;
  std::string buffer;
  EncodeNormalized(Normalize(text, &buffer), scratch, ids);
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= size()) {
      text += "\xEF\xBF\xBD";
      continue;
    }
    const AddedToken* added = AddedOf(id);
    if (skip_special && added != nullptr && added->special) continue;
    text += parts_.tokens[static_cast<size_t>(id)];
  }
  if (parts_.normalizer == Normalizer::kSpaceBefore && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

int32_t Tokenizer::IdOf(std::string_view token) const {
  if (const int32_t id = added_.Find(parts_.tokens, token); id >= 0) return id;
  if (const int32_t id = plain_.Find(parts_.tokens, token); id >= 0) return id;
  return token.size() == 1 ? byte_id_[static_cast<unsigned char>(token[0])] : -1;
}

std::string Tokenizer::TextOf(int32_t id) const {
  return id < 0 || id >= size() ? std::string() : parts_.tokens[static_cast<size_t>(id)];
}

const AddedToken* Tokenizer::AddedOf(int32_t id) const {
  const int32_t index = id < 0 || id >= size() ? -1 : added_index_[static_cast<size_t>(id)];
  return index < 0 ? nullptr : &parts_.added[static_cast<size_t>(index)];
}

}  // namespace r1
