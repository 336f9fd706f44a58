// Training of byte-level BPE (Sennrich et al. 2016): start from the 256 bytes; again and again join the pair of
// neighbouring symbols with the largest total count over all words, until no word has two symbols left, no pair reaches
// min_count, or the vocabulary is full. Ties go to the lexicographically smallest pair (left bytes, then right bytes),
// so the result depends on the counts only. Ids: added tokens first, then the bytes 0..255, then one token a merge.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace r1 {

using WordCounts = std::map<std::string, int64_t, std::less<>>;

struct BpeTrainOptions {
  int32_t max_vocab = 4096;                // added tokens, bytes and merges together
  int64_t min_count = 2;                   // a pair seen less often is not joined
  bool greater_pair_wins = false;          // the other tie rule, for comparison with trainers that have it
  WordPattern pattern = WordPattern::kR1;  // of the tokenizer, and of the words in texts
};

// Adds the words of `text` (word_split.h) to `counts`.
void CountWords(std::string_view text, WordCounts* counts, WordPattern pattern = WordPattern::kR1);

// The ids of `added` are ignored and given in order from 0.
Result<Tokenizer> TrainBpe(const WordCounts& words, std::vector<AddedToken> added, const BpeTrainOptions& options);
// The same on scaffold texts: added tokens found in them are not part of any word.
Result<Tokenizer> TrainBpe(const std::vector<std::string>& texts, std::vector<AddedToken> added,
                           const BpeTrainOptions& options);

}  // namespace r1
