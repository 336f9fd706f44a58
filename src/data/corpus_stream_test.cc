#include "data/corpus_stream.h"

#include <array>

#include <gtest/gtest.h>

#include "text/bpe_train.h"
#include "world/verifier.h"
#include "world/words.h"

namespace r1 {
namespace {

const Tokenizer& World() {
  static const Tokenizer tokenizer = TrainTokenizer(1, 20000).value();
  return tokenizer;
}

TEST(TrainTokenizer, EveryWordIsOneToken) {
  const Tokenizer& t = World();
  for (const std::string& word : AllSpacedWords()) {
    EXPECT_EQ(t.Encode(word), (std::vector<int32_t>{t.IdOf(word)})) << word;
    EXPECT_EQ(t.EncodeContent(word), t.Encode(word));
  }
  for (const std::string_view marker : kMarkers) {
    EXPECT_EQ(t.Encode(" " + std::string(marker)), (std::vector<int32_t>{t.IdOf(marker)})) << marker;
  }
  EXPECT_LE(t.size(), 512);
  EXPECT_EQ(t.Decode(t.Encode("<think> try 19<|end|>"), true), "<think> try 19");
}

const CorpusOdds& Wide() {
  static const CorpusOdds odds = CorpusNamed("wide").value();
  return odds;
}

TEST(TrainTokenizer, WideWorldHasEveryWordAsOneTokenToo) {
  const Tokenizer t = TrainTokenizer(1, 20000, Wide()).value();
  EXPECT_TRUE(CheckWorldTokenizer(t, WorldKind::kWide).ok());
  EXPECT_LE(t.size(), 576);
  for (const std::string& word : AllSpacedWords(WorldKind::kWide)) {
    EXPECT_EQ(t.Encode(word), (std::vector<int32_t>{t.IdOf(word)})) << word;
    EXPECT_EQ(t.EncodeContent(word), t.Encode(word));
  }
  double total = 0;
  const int n = 20000;
  for (uint64_t i = 0; i < n; ++i) {
    const Document d = DocumentAt(2, i, Wide());
    const TokenDocument tokens = TokenizeExample(t, d.prompt, d.reply);
    ASSERT_EQ(tokens.tokens.size(), SplitReply(d.prompt + d.reply).size()) << d.prompt << d.reply;  // one a word
    ASSERT_EQ(t.Encode(t.Decode(tokens.tokens)), tokens.tokens);
    total += static_cast<double>(tokens.tokens.size());
  }
  EXPECT_NEAR(total / n, 24, 1);
  RecordProperty("mean_tokens", std::to_string(total / n));
  // A tokenizer of the pick world does not know code.
  EXPECT_TRUE(CheckWorldTokenizer(World()).ok());
  const Status narrow = CheckWorldTokenizer(World(), WorldKind::kWide);
  ASSERT_FALSE(narrow.ok());
  EXPECT_EQ(narrow.error().code, ErrorCode::kRefused);
}

TEST(TrainTokenizer, DependsOnCountsOnlyAndIsStable) {
  EXPECT_EQ(TrainTokenizer(1, 20000).value().ToJson(), World().ToJson());
  const Result<Tokenizer> again = Tokenizer::FromJson(World().ToJson(), "world.json");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(CheckWorldTokenizer(*again).ok());
}

TEST(TrainTokenizer, TooFewDocumentsAreRefused) {
  const Result<Tokenizer> t = TrainTokenizer(1, 5);
  ASSERT_FALSE(t.ok());
  EXPECT_EQ(t.error().code, ErrorCode::kRefused);
  EXPECT_NE(t.error().message.find("is not one token"), std::string::npos) << t.error().message;
  const Tokenizer bytes = TrainBpe(WordCounts{}, {}, {}).value();
  EXPECT_FALSE(CheckWorldTokenizer(bytes).ok());
}

TEST(CorpusStream, TokensRoundTripAndSplitAtTheReply) {
  const Tokenizer& t = World();
  for (uint64_t i = 0; i < 3000; ++i) {
    const Document d = DocumentAt(2, i);
    const TokenDocument tokens = TokenizeExample(t, d.prompt, d.reply);
    ASSERT_GT(tokens.loss_from, 0);
    ASSERT_EQ(tokens.tokens[static_cast<size_t>(tokens.loss_from) - 1], t.IdOf(kAssistantMarker));
    ASSERT_EQ(tokens.tokens.back(), t.IdOf(kEndMarker));
    ASSERT_EQ(t.Encode(d.prompt + d.reply), tokens.tokens);
    ASSERT_EQ(t.Encode(t.Decode(tokens.tokens)), tokens.tokens);  // decoding loses only spaces before markers
    ASSERT_EQ(tokens.tokens.size(), SplitReply(d.prompt + d.reply).size());  // one token a word
  }
}

TEST(CorpusStream, BatchesFollowOnAndDependOnTheCursorOnly) {
  const Tokenizer& t = World();
  uint64_t cursor = 0;
  for (int step = 0; step < 5; ++step) {
    const CorpusBatch batch = CorpusBatchAt(t, 9, cursor, 2048);
    EXPECT_GE(batch.tokens, 2048);
    EXPECT_LT(batch.tokens - static_cast<int64_t>(batch.documents.back().tokens.size()), 2048);
    EXPECT_EQ(batch.next_cursor, cursor + batch.documents.size());
    const CorpusBatch again = CorpusBatchAt(t, 9, cursor, 2048);
    ASSERT_EQ(again.documents.size(), batch.documents.size());
    for (size_t i = 0; i < batch.documents.size(); ++i) {
      EXPECT_EQ(again.documents[i].tokens, batch.documents[i].tokens);
      const Document d = DocumentAt(9, cursor + i);
      EXPECT_EQ(TokenizeExample(t, d.prompt, d.reply).tokens, batch.documents[i].tokens);
    }
    cursor = batch.next_cursor;
  }
}

TEST(CorpusStream, BatchesFollowTheOdds) {
  const Tokenizer t = TrainTokenizer(1, 20000, Wide()).value();
  const CorpusBatch batch = CorpusBatchAt(t, 9, 100, 2048, Wide());
  for (size_t i = 0; i < batch.documents.size(); ++i) {
    const Document d = DocumentAt(9, 100 + i, Wide());
    EXPECT_EQ(TokenizeExample(t, d.prompt, d.reply).tokens, batch.documents[i].tokens);
  }
}

TEST(CorpusStream, TokenSharesAreThoseOfTheWorld) {
  const Tokenizer& t = World();
  std::array<double, kDocumentKinds> tokens{};
  double total = 0;
  const int n = 40000;
  for (int i = 0; i < n; ++i) {
    const Document d = DocumentAt(13, static_cast<uint64_t>(i));
    const auto size = static_cast<double>(TokenizeExample(t, d.prompt, d.reply).tokens.size());
    tokens[static_cast<size_t>(d.kind)] += size;
    total += size;
  }
  constexpr std::array<double, kDocumentKinds> kShare = {0.098, 0.067, 0.153, 0.175, 0.507};
  for (int k = 0; k < kDocumentKinds; ++k) {
    EXPECT_NEAR(tokens[static_cast<size_t>(k)] / total, kShare[static_cast<size_t>(k)], 0.015)
        << DocumentKindName(static_cast<DocumentKind>(k));
  }
  EXPECT_NEAR(total / n, 25, 0.4);
  RecordProperty("mean_tokens", std::to_string(total / n));
}

TEST(CorpusStream, VerdictsOfProbesAreOneToken) {
  const VerifierProbe probe = VerifierProbeAt(1, true);
  for (const std::string& verdict : probe.verdicts) EXPECT_EQ(World().Encode(verdict).size(), 1u);
  const std::vector<int32_t> ids = World().Encode(probe.text);
  EXPECT_EQ(World().TextOf(ids.back()), " " + std::to_string(probe.problem.target));
}

}  // namespace
}  // namespace r1
