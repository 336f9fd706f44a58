// What the updates of a rollout do with its replies: which are read, with what ratio, weight and divisor.
#include "rl/update.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rl/experience.h"

namespace r1 {
namespace {

class UpdateTest : public testing::Test {
 protected:
  void SetUp() override {
    SetFloatMode();
    ModelConfig config = ModelPreset("tiny").value();
    config.vocab_size = 32;
    model_ = std::make_unique<Model>(config, true);
    model_->Init(3);
    model_->Pack(pool_);
    config_.num_generations = 2;
    config_.num_prompts = 2;
    config_.max_completion_length = 10;
    config_.optimizer.learning_rate = 1e-3;
    config_.optimizer.grad_shards = 2;
    trainer_ = std::make_unique<Trainer>(*model_, config_.optimizer, pool_);
  }
  // Two groups of two replies, of 3, 2, 4 and 5 tokens after a prompt of 2; log-probabilities are the model's.
  RolloutBatch Batch() {
    RolloutBatch batch;
    batch.generations = 2;
    Rng rng(6, Stream::kTest);
    for (const size_t length : {3u, 2u, 4u, 5u}) {
      Rollout r;
      r.prompt = batch.rollouts.size() / 2;
      r.prompt_tokens = 2;
      for (size_t i = 0; i < 2 + length; ++i) r.tokens.push_back(static_cast<int32_t>(rng.Below(32)));
      r.completion.tokens.assign(r.tokens.begin() + 2, r.tokens.end());
      r.completion.logp.resize(length);
      r.completion.finish = FinishReason::kStop;
      r.advantage = batch.rollouts.size() % 2 == 0 ? 1 : -1;
      batch.rollouts.push_back(std::move(r));
    }
    batch.problems.resize(2);
    batch.kept = {0, 1};
    for (Rollout& r : batch.rollouts) {
      trainer_->Score(*model_, std::vector<TrainSequence>{ReplySequence(r)}, {},
                      [&](int, const MicroBatch& m, LogProbs& l) {
                        for (int64_t i = 0; i < m.rows; ++i)
                          r.completion.logp[static_cast<size_t>(m.offset_R[i] - 2)] = l.logp[i];
                      });
    }
    return batch;
  }
  LossSettings Settings(const std::string& algorithm) {
    config_.loss.algorithm = algorithm;
    return ResolveLoss(config_, "test").value();
  }
  UpdateTotals Run(const RolloutBatch& batch, const LossSettings& loss) {
    Updater updater(*trainer_, nullptr, config_, loss, 1);
    UpdatePlace place;
    place.step = 1;
    place.max_updates = 10;
    return updater.Run(batch, place);
  }
  double Entropy(const RolloutBatch& batch) {
    std::vector<TrainSequence> sequences;
    for (const Rollout& r : batch.rollouts) sequences.push_back(ReplySequence(r));
    std::vector<double> sum(static_cast<size_t>(trainer_->shards()));
    trainer_->Score(*model_, sequences, {}, [&](int shard, const MicroBatch& m, LogProbs& l) {
      for (int64_t i = 0; i < m.rows; ++i) sum[static_cast<size_t>(shard)] += static_cast<double>(l.entropy[i]);
    });
    return sum[0] + sum[1];
  }

  ThreadPool pool_{2};
  RlConfig config_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_F(UpdateTest, LossIsDividedAsItsTypeSays) {
  // On the policy a token's loss is -A: sums are -3 + 2 and -4 + 5 tokens.
  const RolloutBatch batch = Batch();
  const auto loss_of = [&](const char* type) {
    config_.loss.loss_type = type;
    const UpdateTotals totals = Run(batch, Settings("grpo"));
    model_->Init(3);  // undo the step
    model_->Pack(pool_);
    EXPECT_EQ(totals.sums.mismatch_tokens, 0.0);
    EXPECT_EQ(totals.sums.tokens, 14.0);
    EXPECT_EQ(totals.trained_tokens, 22) << "with their prompts";
    return totals.sums.loss;
  };
  EXPECT_NEAR(loss_of("dapo"), 0.0 / 14, 1e-12);
  EXPECT_NEAR(loss_of("grpo"), (-1.0 + 1 - 1 + 1) / 4, 1e-12);
  RolloutBatch more = batch;
  for (Rollout& r : more.rollouts) r.advantage = 1;
  config_.loss.loss_type = "dr_grpo";
  EXPECT_NEAR(Run(more, Settings("grpo")).sums.loss, -14.0 / (4 * 10), 1e-12);
}

// Old log-probabilities 0.1 above and 0.1 below the model's, in turn: each token's ratio is far outside gspo's range,
// and the reply's, where their number is even, is 1.
TEST_F(UpdateTest, SequenceRatioIsTheReplys) {
  RolloutBatch batch = Batch();
  for (Rollout& r : batch.rollouts) {
    r.old_logp_T = r.completion.logp;
    for (size_t t = 0; t < r.length(); ++t) r.old_logp_T[t] += t % 2 == 0 ? 0.1f : -0.1f;
    r.advantage = 1;
  }
  const RolloutBatch copy = batch;
  const UpdateTotals totals = Run(batch, Settings("gspo"));
  EXPECT_EQ(totals.sums.clipped_high + totals.sums.clipped_low, 0.0);
  // Even lengths: -1. Lengths 3 and 5: one token more has fallen by 0.1.
  EXPECT_NEAR(totals.sums.loss, -(2 + std::exp(-0.1 / 3) + std::exp(-0.1 / 5)) / 4, 1e-6);
  SetUp();
  config_.loss.epsilon = 3e-4;
  EXPECT_EQ(Run(copy, Settings("grpo")).sums.clipped_high, 1.0 + 1 + 2 + 2) << "by tokens, those that have risen";
}

TEST_F(UpdateTest, ImportanceWeightsAndMasksTakeTokensOut) {
  RolloutBatch batch = Batch();
  for (Rollout& r : batch.rollouts) {
    r.advantage = 1;
    r.weight_T.assign(r.length(), 0.0);
  }
  batch.rollouts[0].weight_T[1] = 0.5;
  EXPECT_NEAR(Run(batch, Settings("grpo")).sums.loss, -0.5 / 14, 1e-12);
  SetUp();
  batch = Batch();
  batch.rollouts[1].completion.finish = FinishReason::kLength;
  batch.rollouts[2].reward.gradable = false;
  config_.loss.mask_truncated_completions = true;
  const UpdateTotals totals = Run(batch, Settings("grpo"));
  EXPECT_EQ(totals.sums.tokens, 3.0 + 5);
  EXPECT_NEAR(totals.sums.loss, (-3.0 + 5) / 8, 1e-12) << "they are not in the divisor either";
}

TEST_F(UpdateTest, PartsCoverTheKeptGroupsOncePerPass) {
  RolloutBatch batch = Batch();
  config_.mini_batches = 2;
  config_.num_iterations = 3;
  const UpdateTotals totals = Run(batch, Settings("grpo"));
  EXPECT_EQ(totals.updates, 6);
  EXPECT_EQ(totals.sums.tokens, 3 * 14.0);
  batch.kept = {1};
  const UpdateTotals one = Run(batch, Settings("grpo"));
  EXPECT_EQ(one.updates, 3) << "an empty part is no update";
  EXPECT_EQ(one.sums.tokens, 3 * 9.0);
  batch.rollouts[3].advantage = 0;
  EXPECT_EQ(Run(batch, Settings("grpo")).sums.tokens, 3 * 4.0) << "nothing to learn from a reply without advantage";
}

TEST_F(UpdateTest, EntropyBonusRaisesTheEntropy) {
  RolloutBatch batch = Batch();
  for (Rollout& r : batch.rollouts) r.advantage = 0;
  for (const double sign : {1.0, -1.0}) {
    SetUp();
    config_.loss.entropy_coef = sign;
    config_.num_iterations = 10;
    const double before = Entropy(batch);
    EXPECT_NEAR(Run(batch, Settings("grpo")).sums.tokens, 140, 0);
    if (sign > 0) {
      EXPECT_GT(Entropy(batch), before + 0.01);
    } else {
      EXPECT_LT(Entropy(batch), before - 0.01);
    }
  }
}

}  // namespace
}  // namespace r1
