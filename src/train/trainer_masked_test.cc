// Conversations of several turns in the trainer: what others say is read, but not learnt; and in one batch no text
// reads another.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "train/trainer_test_util.h"

namespace r1 {
namespace {

class MaskedTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SetFloatMode(); }
  static ModelConfig TheConfig() {
    ModelConfig c = ModelPreset(GetParam()).value();
    c.vocab_size = 64;
    return c;
  }
};

using Read = std::map<std::pair<int32_t, int32_t>, float>;  // log-probability by sequence and offset

struct Outcome {
  Read read;
  std::vector<float> gradient;
  StepReport report;
};

Outcome GradientOf(const ModelConfig& c, const std::vector<TrainSequence>& sequences) {
  ThreadPool pool(2);
  Model model(c, true);
  FillModel(model, 1, false);
  model.Pack(pool);
  Trainer trainer(model, Config(1, 1 << 20), pool);
  PassOptions options;
  options.mtp_weight = c.num_nextn_predict_layers > 0 ? 0.3f : 0.0f;
  Outcome out;
  out.report = trainer.Gradient(sequences, options, [&](int, const MicroBatch& micro, LogProbs& logp) {
    for (int64_t i = 0; i < micro.rows; ++i) {
      out.read[{micro.sequence_R[i], micro.offset_R[i]}] = logp.logp[i];
      logp.dlogp[i] = -0.1f;
    }
  });
  out.gradient.assign(trainer.gradient(), trainer.gradient() + model.params().total);
  return out;
}

TEST_P(MaskedTest, MaskedTokensAreReadAndNotLearnt) {
  const Data data(TheConfig().vocab_size, {40, 30}, 5);
  std::vector<TrainSequence> all = data.view;
  for (TrainSequence& s : all) s.loss_from = 4;
  const std::vector<TokenSpan> masked = {{9, 15}, {20, 21}};
  std::vector<TrainSequence> some = all;
  some[0].masked = masked;
  const Outcome whole = GradientOf(TheConfig(), all), part = GradientOf(TheConfig(), some);
  ASSERT_EQ(whole.read.size(), 36u + 26u);
  EXPECT_EQ(part.read.size(), whole.read.size() - 7);
  for (const auto& [where, value] : whole.read) {
    const bool hidden = where.first == 0 && ((where.second >= 9 && where.second < 15) || where.second == 20);
    ASSERT_EQ(part.read.contains(where), !hidden) << where.first << " " << where.second;
    if (!hidden) {
      EXPECT_EQ(part.read.at(where), value);
    }
  }
  EXPECT_NE(part.gradient, whole.gradient);
}

// All but the last token masked is a loss that begins at the last token, in every bit, the prediction module's too.
TEST_P(MaskedTest, AMaskIsALaterBegin) {
  const Data data(TheConfig().vocab_size, {40}, 5);
  TrainSequence late = data.view[0], early = data.view[0];
  late.loss_from = 39;
  early.loss_from = 3;
  const std::vector<TokenSpan> masked = {{3, 20}, {20, 39}};
  early.masked = masked;
  const Outcome a = GradientOf(TheConfig(), {late}), b = GradientOf(TheConfig(), {early});
  EXPECT_EQ(a.read, b.read);
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(a.report.mtp_loss, b.report.mtp_loss);
}

// A text's log-probabilities are the same alone and packed with others before it.
TEST_P(MaskedTest, PackedTextsDoNotReadEachOther) {
  const Data data(TheConfig().vocab_size, {25, 40, 31}, 6);
  std::vector<TrainSequence> packed = data.view;
  const std::vector<TokenSpan> masked = {{10, 14}};
  for (TrainSequence& s : packed) {
    s.loss_from = 2;
    s.masked = masked;
  }
  const Outcome together = GradientOf(TheConfig(), packed);
  for (int32_t i = 0; i < 3; ++i) {
    const Outcome alone = GradientOf(TheConfig(), {packed[static_cast<size_t>(i)]});
    ASSERT_EQ(alone.read.size(), static_cast<size_t>(packed[static_cast<size_t>(i)].n - 2 - 4));
    for (const auto& [where, value] : alone.read) EXPECT_EQ(together.read.at({i, where.second}), value);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MaskedTest, ::testing::Values("tiny", "tiny-qwen2", "tiny-llama3"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace r1
