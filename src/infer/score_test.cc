// Values of texts: those of the double-precision reference, the same in any batch and on any number of threads.
#include "infer/score.h"

#include <gtest/gtest.h>

#include "infer/rollout.h"
#include "model/model_test_util.h"

namespace r1 {
namespace {

ModelConfig Scalar(ModelConfig c) {
  c.num_labels = 1;
  c.num_nextn_predict_layers = 0;
  return c;
}

std::vector<std::vector<int32_t>> Texts(int64_t vocab, int64_t count, uint64_t seed) {
  std::vector<int64_t> lengths;
  Rng rng(seed, Stream::kTest, 4);
  for (int64_t i = 0; i < count; ++i) lengths.push_back(rng.Range(2, 100));
  std::vector<std::vector<int32_t>> texts;
  for (reference::Sequence& s : RandomSequences(vocab, lengths, seed)) texts.push_back(std::move(s.tokens));
  return texts;
}

TEST(Score, IsTheReferencesValueAtTheLastToken) {
  SetFloatMode();
  ThreadPool pool(2);
  for (const NamedConfig& test : TestConfigs()) {
    const ModelConfig c = Scalar(test.config);
    Model model(c, false);
    int compared = 0;
    for (uint64_t seed = 1; seed < 200 && compared < 3; ++seed) {
      FillModel(model, seed);
      model.Pack(pool);
      const auto sequences = RandomSequences(c.vocab_size, {9, 4}, seed);
      reference::Model reference(c);
      const std::vector<double> flat = FlatCopy(model);
      const reference::Output exact = reference.Forward(flat.data(), sequences, {});
      if (exact.margin < kClearMargin) continue;
      ++compared;
      const std::vector<double> scores = ScoreTexts(model, pool, {sequences[0].tokens, sequences[1].tokens});
      EXPECT_NEAR(scores[0], exact.values[0].back(), 0.15) << test.name;
      EXPECT_NEAR(scores[1], exact.values[1].back(), 0.15) << test.name;
      const auto every = ScoreEveryToken(model, pool, {sequences[0].tokens, sequences[1].tokens}, {2, 0});
      ASSERT_EQ(every[0].size(), 7u);
      ASSERT_EQ(every[1].size(), 4u);
      for (size_t k = 0; k < 7; ++k) EXPECT_NEAR(every[0][k], exact.values[0][2 + k], 0.15) << test.name;
      for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(every[1][k], exact.values[1][k], 0.15) << test.name;
    }
    EXPECT_EQ(compared, 3) << test.name;
  }
}

TEST(Score, BatchAndThreadsCannotBeSeen) {
  SetFloatMode();
  for (const NamedConfig& test : TestConfigs()) {
    const ModelConfig c = Scalar(test.config);
    ThreadPool one(1), three(3);
    Model model(c, false);
    FillModel(model, 1, false);
    model.Pack(one);
    const auto texts = Texts(c.vocab_size, 60, 1);  // several batches
    std::vector<int64_t> first;
    for (const auto& text : texts) first.push_back(static_cast<int64_t>(text.size()) / 2);
    const std::vector<double> scores = ScoreTexts(model, one, texts);
    const auto every = ScoreEveryToken(model, one, texts, first);
    EXPECT_EQ(ScoreTexts(model, three, texts), scores);
    EXPECT_EQ(ScoreEveryToken(model, three, texts, first), every);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(ScoreTexts(model, three, {texts[i]})[0], scores[i]) << test.name;
      EXPECT_EQ(static_cast<double>(every[i].back()), scores[i]) << test.name;
    }
    EXPECT_NE(scores[0], scores[1]);
    EXPECT_TRUE(ScoreTexts(model, three, {}).empty());
  }
}

TEST(Score, ARewardModelIsNotSampledFrom) {
  SetFloatMode();
  ThreadPool pool(1);
  Model model(Scalar(TestV3()), false);
  model.Init(1);
  model.Pack(pool);
  const auto sampled = RolloutEngine(model, pool).Run({{{1, 2}, 0, 1}}, RolloutOptions());
  ASSERT_FALSE(sampled.ok());
  EXPECT_EQ(sampled.error().code, ErrorCode::kRefused);
  EXPECT_NE(sampled.error().message.find("reward or value model"), std::string::npos);
}

}  // namespace
}  // namespace r1
