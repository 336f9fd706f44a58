#include "text/bpe_train.h"

#include <algorithm>
#include <queue>
#include <set>
#include <unordered_map>

#include "text/word_split.h"

namespace r1 {
namespace {

using Pair = std::pair<int32_t, int32_t>;

uint64_t Key(Pair p) {
  return static_cast<uint64_t>(static_cast<uint32_t>(p.first)) << 32 | static_cast<uint32_t>(p.second);
}

struct TrainWord {
  std::vector<int32_t> symbols;
  int64_t count;
};

struct PairState {
  int64_t count = 0;
  std::set<int32_t> words;  // where it occurs or has occurred
};

class Trainer {
 public:
  Trainer(const WordCounts& words, TokenizerParts parts, int32_t first_byte, const BpeTrainOptions& options)
      : parts_(std::move(parts)), options_(options), heap_(Less{this}) {
    for (const auto& [text, count] : words) {
      TrainWord word{{}, count};
      for (const char c : text) word.symbols.push_back(first_byte + static_cast<unsigned char>(c));
      words_.push_back(std::move(word));
    }
  }

  TokenizerParts Run() {
    for (size_t w = 0; w < words_.size(); ++w) AddPairs(static_cast<int32_t>(w), 1);
    PushTouched();
    while (static_cast<int32_t>(parts_.tokens.size()) < options_.max_vocab && !heap_.empty()) {
      const Entry best = heap_.top();
      heap_.pop();
      if (best.count != pairs_[Key(best.pair)].count) continue;  // stale: a newer entry has the present count
      if (best.count < options_.min_count || best.count <= 0) break;
      if (Join(best.pair)) PushTouched();
    }
    return std::move(parts_);
  }

 private:
  struct Entry {
    int64_t count;
    Pair pair;
  };
  // Order of the heap, whose top is the greatest: larger count first, then the tie rule on the bytes of left and right.
  struct Less {
    const Trainer* trainer;
    bool operator()(const Entry& a, const Entry& b) const {
      if (a.count != b.count) return a.count < b.count;
      const auto& text = trainer->parts_.tokens;
      const auto bytes = [&](int32_t id) -> const std::string& { return text[static_cast<size_t>(id)]; };
      const int left = bytes(a.pair.first).compare(bytes(b.pair.first));
      const int order = left != 0 ? left : bytes(a.pair.second).compare(bytes(b.pair.second));
      return trainer->options_.greater_pair_wins ? order < 0 : order > 0;
    }
  };

  void AddPairs(int32_t w, int sign) {
    const TrainWord& word = words_[static_cast<size_t>(w)];
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const Pair pair{word.symbols[i], word.symbols[i + 1]};
      PairState& state = pairs_[Key(pair)];
      state.count += sign * word.count;
      if (sign > 0) state.words.insert(w);
      touched_.push_back(pair);
    }
  }

  void PushTouched() {
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (const Pair& pair : touched_) {
      const int64_t count = pairs_[Key(pair)].count;
      if (count > 0) heap_.push({count, pair});
    }
    touched_.clear();
  }

  // Two different pairs may spell the same token, which then keeps its first id. A pair that would spell an added token
  // is never joined (false), so that content cannot produce one.
  bool Join(Pair pair) {
    const std::string text =
        parts_.tokens[static_cast<size_t>(pair.first)] + parts_.tokens[static_cast<size_t>(pair.second)];
    if (std::any_of(parts_.added.begin(), parts_.added.end(), [&](const AddedToken& a) { return a.content == text; }))
      return false;
    const auto [entry, fresh] = id_of_.emplace(text, static_cast<int32_t>(parts_.tokens.size()));
    const int32_t id = entry->second;
    if (fresh) parts_.tokens.push_back(text);
    parts_.merges.push_back(pair);
    const std::set<int32_t> where = std::move(pairs_[Key(pair)].words);
    for (const int32_t w : where) {
      AddPairs(w, -1);
      std::vector<int32_t>& symbols = words_[static_cast<size_t>(w)].symbols;
      size_t out = 0;
      for (size_t i = 0; i < symbols.size(); ++i) {
        const bool here = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
        symbols[out++] = here ? id : symbols[i];
        if (here) ++i;
      }
      symbols.resize(out);
      AddPairs(w, 1);
    }
    return true;
  }

  TokenizerParts parts_;
  BpeTrainOptions options_;
  std::vector<TrainWord> words_;
  std::unordered_map<std::string, int32_t> id_of_;  // of the tokens made so far
  std::unordered_map<uint64_t, PairState> pairs_;
  std::vector<Pair> touched_;
  std::priority_queue<Entry, std::vector<Entry>, Less> heap_;
};

// Added tokens and the 256 bytes; no merges.
TokenizerParts BytesOnly(std::vector<AddedToken> added) {
  TokenizerParts parts;
  for (AddedToken& token : added) {
    token.id = static_cast<int32_t>(parts.tokens.size());
    parts.tokens.push_back(token.content);
  }
  parts.added = std::move(added);
  for (int byte = 0; byte < 256; ++byte) parts.tokens.push_back(std::string(1, static_cast<char>(byte)));
  return parts;
}

}  // namespace

void CountWords(std::string_view text, WordCounts* counts, WordPattern pattern) {
  WordSplitter words(pattern, text);
  for (std::string_view word; words.Next(&word);) {
    if (const auto found = counts->find(word); found != counts->end()) {
      ++found->second;
    } else {
      counts->emplace(word, 1);
    }
  }
}

Result<Tokenizer> TrainBpe(const WordCounts& words, std::vector<AddedToken> added, const BpeTrainOptions& options) {
  const auto first_byte = static_cast<int32_t>(added.size());
  TokenizerParts parts = BytesOnly(std::move(added));
  parts.pattern = options.pattern;
  if (options.max_vocab < static_cast<int32_t>(parts.tokens.size())) {
    return Error{ErrorCode::kRefused, "a byte-level vocabulary needs at least " + std::to_string(parts.tokens.size()) +
                                          " tokens (256 bytes and the added tokens), " +
                                          std::to_string(options.max_vocab) + " are allowed"};
  }
  return Tokenizer::FromParts(Trainer(words, std::move(parts), first_byte, options).Run(), "trained tokenizer");
}

Result<Tokenizer> TrainBpe(const std::vector<std::string>& texts, std::vector<AddedToken> added,
                           const BpeTrainOptions& options) {
  R1_ASSIGN(const Tokenizer bytes, Tokenizer::FromParts(BytesOnly(added), "added tokens"));
  WordCounts counts;
  for (const std::string& text : texts) {
    bytes.ForEachSegment(text, [&](std::string_view stretch, int32_t id) {
      if (id < 0) CountWords(stretch, &counts, options.pattern);
    });
  }
  return TrainBpe(counts, std::move(added), options);
}

}  // namespace r1
