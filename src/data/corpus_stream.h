// The world's corpus as tokens. A step's batch is a pure function of (tokenizer, seed, cursor, odds), so the only state
// of the loader is the cursor: the index of the next document.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/token_span.h"
#include "text/tokenizer.h"
#include "world/corpus.h"

namespace r1 {

struct TokenDocument {
  std::vector<int32_t> tokens;         // prompt and reply
  int32_t loss_from = 0;               // index of the first reply token: tokens[loss_from..] are predicted with loss,
  std::vector<TokenSpan> masked = {};  // but for these, in order: what others say between two replies
};

// Prompt and reply are scaffold text and are encoded apart, so no token spans both.
TokenDocument TokenizeExample(const Tokenizer& tokenizer, std::string_view prompt, std::string_view reply);

struct CorpusBatch {
  std::vector<TokenDocument> documents;
  int64_t tokens = 0;        // over all documents
  uint64_t next_cursor = 0;  // cursor of the next batch
};
// Whole documents from `cursor` on until they hold at least min_tokens tokens.
CorpusBatch CorpusBatchAt(const Tokenizer& tokenizer, uint64_t seed, uint64_t cursor, int64_t min_tokens,
                          const CorpusOdds& odds = {});

// A BPE tokenizer trained on documents 0 .. documents-1 of the seed's corpus, with the world's markers as added tokens.
// Error kRefused if some word or number of the world is not one token: too few documents.
Result<Tokenizer> TrainTokenizer(uint64_t seed, uint64_t documents, const CorpusOdds& odds = {});
// Is every number, sign and word of this world one token, and every marker an added token? The error names the first
// that is not.
Status CheckWorldTokenizer(const Tokenizer& tokenizer, WorldKind world = WorldKind::kPick);

}  // namespace r1
