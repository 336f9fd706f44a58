#include "data/corpus_stream.h"

#include <string>
#include <utility>

#include "base/quote.h"
#include "text/bpe_train.h"
#include "world/words.h"

namespace r1 {
namespace {

std::vector<AddedToken> WorldMarkers() {
  std::vector<AddedToken> added;
  for (const std::string_view marker : kMarkers) {
    // The tags of thinking and answer are part of what a reply says; the others are scaffold.
    const bool special = marker.starts_with("<|");
    added.push_back({.id = -1, .content = std::string(marker), .lstrip = true, .rstrip = false, .special = special});
  }
  return added;
}

}  // namespace

TokenDocument TokenizeExample(const Tokenizer& tokenizer, std::string_view prompt, std::string_view reply) {
  TokenDocument document;
  document.tokens = tokenizer.Encode(prompt);
  document.loss_from = static_cast<int32_t>(document.tokens.size());
  const std::vector<int32_t> tail = tokenizer.Encode(reply);
  document.tokens.insert(document.tokens.end(), tail.begin(), tail.end());
  return document;
}

CorpusBatch CorpusBatchAt(const Tokenizer& tokenizer, uint64_t seed, uint64_t cursor, int64_t min_tokens,
                          const CorpusOdds& odds) {
  CorpusBatch batch;
  batch.next_cursor = cursor;
  while (batch.tokens < min_tokens) {
    const Document document = DocumentAt(seed, batch.next_cursor++, odds);
    batch.documents.push_back(TokenizeExample(tokenizer, document.prompt, document.reply));
    batch.tokens += static_cast<int64_t>(batch.documents.back().tokens.size());
  }
  return batch;
}

Status CheckWorldTokenizer(const Tokenizer& tokenizer, WorldKind world) {
  const auto refuse = [](std::string_view word, const char* what) {
    return Error{ErrorCode::kRefused,
                 Quote(word) + " " + what + " in the tokenizer; train it on more documents of the world"};
  };
  for (const std::string& word : AllSpacedWords(world)) {
    if (tokenizer.Encode(word).size() != 1) return refuse(word, "is not one token");
  }
  for (const std::string_view marker : kMarkers) {
    const std::vector<int32_t> ids = tokenizer.Encode(" " + std::string(marker));
    if (ids.size() != 1 || ids[0] != tokenizer.IdOf(marker)) return refuse(marker, "is not an added token");
  }
  return {};
}

Result<Tokenizer> TrainTokenizer(uint64_t seed, uint64_t documents, const CorpusOdds& odds) {
  std::vector<std::string> texts;
  texts.reserve(documents);
  for (uint64_t i = 0; i < documents; ++i) {
    Document document = DocumentAt(seed, i, odds);
    texts.push_back(std::move(document.prompt) + document.reply);
  }
  R1_ASSIGN(Tokenizer tokenizer, TrainBpe(texts, WorldMarkers(), {.max_vocab = 4096, .min_count = 1}));
  R1_TRY(CheckWorldTokenizer(tokenizer, odds.world));
  return tokenizer;
}

}  // namespace r1
