// JSONL for supervised training and for reward models as hostile input: an error with a message, or texts whose tokens
// exist, whose losses and values are read inside them, and in which a user's words are no markers.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "data/preference_data.h"
#include "data/sft_data.h"
#include "text/bpe_train.h"
#include "world/words.h"

namespace {

const r1::Tokenizer& Bytes() {
  static const r1::Tokenizer tokenizer = [] {
    std::vector<r1::AddedToken> added;
    for (const std::string_view marker : r1::kMarkers)
      added.push_back({-1, std::string(marker), true, false, marker.substr(0, 2) == "<|"});
    return r1::TrainBpe(r1::WordCounts{}, added, {}).value();
  }();
  return tokenizer;
}

void Expect(bool good) {
  if (!good) std::abort();
}

void ExpectTokens(const std::vector<int32_t>& tokens) {
  for (const int32_t t : tokens) Expect(t >= 0 && t < Bytes().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto documents = r1::ParseSftData(text, "fuzz", Bytes());
  if (!documents.ok()) Expect(!documents.error().message.empty());
  if (documents.ok()) {
    for (const r1::TokenDocument& d : *documents) {
      ExpectTokens(d.tokens);
      Expect(d.loss_from >= 1 && static_cast<size_t>(d.loss_from) < d.tokens.size());
      Expect(d.tokens.front() == Bytes().IdOf(r1::kBeginMarker) && d.tokens.back() == Bytes().IdOf(r1::kEndMarker));
      for (int32_t i = 2; i + 1 < d.loss_from; ++i) {
        for (const std::string_view marker : r1::kMarkers)
          Expect(d.tokens[static_cast<size_t>(i)] != Bytes().IdOf(marker));
      }
    }
  }
  for (const r1::RewardKind kind : {r1::RewardKind::kHelpful, r1::RewardKind::kSafety, r1::RewardKind::kProcess}) {
    const auto examples = r1::ParseRewardData(text, "fuzz", kind, Bytes());
    if (!examples.ok()) {
      Expect(!examples.error().message.empty());
      continue;
    }
    for (const r1::RewardExample& e : *examples) {
      Expect(e.texts.size() == (kind == r1::RewardKind::kHelpful ? 2u : 1u));
      Expect(kind == r1::RewardKind::kHelpful ? e.labels.empty() : e.labels.size() == e.texts[0].ends.size());
      for (const r1::ScoredText& t : e.texts) {
        ExpectTokens(t.tokens);
        for (size_t i = 0; i < t.ends.size(); ++i) Expect(t.ends[i] > (i > 0 ? t.ends[i - 1] : 0));
        Expect(t.ends.back() == static_cast<int32_t>(t.tokens.size()));
      }
    }
  }
  return 0;
}
