// Each algorithm's advantages on small batches, worked out by hand; where the settings come from; the explained
// variance.
#include "rl/experience.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "rl/ppo.h"

namespace r1 {
namespace {

LossSettings Of(const std::string& algorithm, double beta = 0, const std::string& scale = "auto") {
  RlConfig config;
  config.loss.algorithm = algorithm;
  config.loss.beta = beta;
  config.loss.scale_rewards = scale;
  Result<LossSettings> settings = ResolveLoss(config, "test");
  EXPECT_TRUE(settings.ok()) << (settings.ok() ? "" : settings.error().message);
  return *settings;
}

struct Reply {
  double reward;
  size_t tokens;
};

// Groups of replies of some tokens. Log-probabilities: the policy's -1, the reference's -1.5, so that k1 is 0.5.
RolloutBatch Batch(const std::vector<std::vector<Reply>>& groups) {
  RolloutBatch batch;
  batch.generations = static_cast<int64_t>(groups[0].size());
  for (size_t p = 0; p < groups.size(); ++p) {
    batch.problems.push_back(TrainTask(TaskKind::kPick, 1, p));
    batch.kept.push_back(p);
    for (const Reply& reply : groups[p]) {
      Rollout r;
      r.prompt = p;
      r.completion.tokens.assign(reply.tokens, 3);
      r.completion.logp.assign(reply.tokens, -1.0f);
      r.completion.finish = FinishReason::kStop;
      r.ref_logp_T.assign(reply.tokens, -1.5f);
      r.reward.total = reply.reward;
      batch.rollouts.push_back(r);
    }
  }
  return batch;
}

std::vector<double> Advantages(const LossSettings& settings, RolloutBatch batch, double gamma = 1, double lambda = 1) {
  ComputeAdvantages(settings, gamma, lambda, &batch);
  std::vector<double> all;
  for (const Rollout& r : batch.rollouts) {
    for (size_t t = 0; t < r.length(); ++t) all.push_back(r.AdvantageAt(t));
  }
  return all;
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double tolerance = 1e-9) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

const std::vector<std::vector<Reply>> kTwoGroups = {{{1, 1}, {0, 1}}, {{3, 1}, {2, 1}}};

TEST(Settings, DefaultsAreTheTables) {
  struct Row {
    const char* name;
    AdvantageKind advantage;
    RatioKind ratio;
    Aggregation aggregation;
    RewardScale scale;
    double epsilon, epsilon_high;
    bool dynamic, kl_in_reward;
  };
  using A = AdvantageKind;
  using G = Aggregation;
  using S = RewardScale;
  const RatioKind token = RatioKind::kToken;
  const Row rows[] = {
      {"grpo", A::kGroup, token, G::kTokenMean, S::kGroup, 0.2, 0.2, false, false},
      {"dr_grpo", A::kGroup, token, G::kConstant, S::kNone, 0.2, 0.2, false, false},
      {"dapo", A::kGroup, token, G::kTokenMean, S::kGroup, 0.2, 0.28, true, false},
      {"rloo", A::kLeaveOneOut, token, G::kTokenMean, S::kNone, 0.2, 0.2, false, true},
      {"reinforce_pp", A::kWhitened, token, G::kTokenMean, S::kBatch, 0.2, 0.2, false, true},
      {"reinforce_pp_baseline", A::kGroupWhitened, token, G::kTokenMean, S::kBatch, 0.2, 0.2, false, false},
      {"remax", A::kGreedy, token, G::kTokenMean, S::kNone, 0.2, 0.2, false, true},
      {"gspo", A::kGroup, RatioKind::kSequence, G::kSequenceMean, S::kGroup, 3e-4, 4e-4, false, false},
      {"cispo", A::kGroup, RatioKind::kCapped, G::kTokenMean, S::kGroup, 0.2, 5, false, false},
      {"ppo", A::kGae, token, G::kTokenMean, S::kBatch, 0.2, 0.2, false, true},
  };
  ASSERT_EQ(AlgorithmNames().size(), std::size(rows));
  for (const Row& row : rows) {
    const LossSettings s = Of(row.name);
    EXPECT_EQ(s.advantage, row.advantage) << row.name;
    EXPECT_EQ(s.ratio, row.ratio) << row.name;
    EXPECT_EQ(s.aggregation, row.aggregation) << row.name;
    EXPECT_EQ(s.scale, row.scale) << row.name;
    EXPECT_EQ(s.epsilon, row.epsilon) << row.name;
    EXPECT_EQ(s.epsilon_high, row.epsilon_high) << row.name;
    EXPECT_EQ(s.dynamic_sampling, row.dynamic) << row.name;
    EXPECT_EQ(s.kl_in_reward, row.kl_in_reward) << row.name;
    EXPECT_EQ(s.overlong_buffer, row.dynamic ? 30 : 0) << "a fifth of 150";
  }
}

TEST(Settings, GivenValuesWin) {
  RlConfig c;
  c.loss.algorithm = "dapo";
  c.loss.loss_type = "grpo";
  c.loss.scale_rewards = "none";
  c.loss.epsilon = 0.1;
  c.loss.kl_estimator = "k2";
  c.loss.kl_in = "reward";
  c.dynamic_sampling = "off";
  c.overlong_buffer = 0;
  const LossSettings s = *ResolveLoss(c, "test");
  EXPECT_EQ(s.aggregation, Aggregation::kSequenceMean);
  EXPECT_EQ(s.scale, RewardScale::kNone);
  EXPECT_EQ(s.epsilon, 0.1);
  EXPECT_EQ(s.epsilon_high, 0.1) << "as epsilon, once that is set";
  EXPECT_EQ(s.kl, KlEstimator::kK2);
  EXPECT_TRUE(s.kl_in_reward);
  EXPECT_FALSE(s.dynamic_sampling);
  EXPECT_EQ(s.overlong_buffer, 0);
  c.loss.epsilon_high = 0.4;
  EXPECT_EQ(ResolveLoss(c, "test")->epsilon_high, 0.4);
  c.loss.algorithm = "cispo";
  c.loss.epsilon_high = 0;
  EXPECT_EQ(ResolveLoss(c, "test")->epsilon_high, 5.0) << "a cap of the weight, not a range";
}

TEST(Advantages, Group) {
  // Means 0.5 and 2.5, both deviations sqrt(0.5).
  const double one = 0.5 / (std::sqrt(0.5) + 1e-4);
  for (const char* name : {"grpo", "dapo", "gspo", "cispo"})
    ExpectNear(Advantages(Of(name), Batch(kTwoGroups)), {one, -one, one, -one});
  ExpectNear(Advantages(Of("dr_grpo"), Batch(kTwoGroups)), {0.5, -0.5, 0.5, -0.5});
  // All rewards: 0, 1, 2, 3 with deviation sqrt(5 / 3).
  const double of_batch = 0.5 / (std::sqrt(5.0 / 3) + 1e-4);
  ExpectNear(Advantages(Of("grpo", 0, "batch"), Batch(kTwoGroups)), {of_batch, -of_batch, of_batch, -of_batch});
}

TEST(Advantages, LeaveOneOut) {
  ExpectNear(Advantages(Of("rloo"), Batch(kTwoGroups)), {1, -1, 1, -1});
  // KL in the reward: 0.1 x 0.5 a token. Replies of 1 and 3 tokens lose 0.05 and 0.15.
  ExpectNear(Advantages(Of("rloo", 0.1), Batch({{{1, 1}, {0, 3}}})), {1.1, -1.1, -1.1, -1.1}, 1e-6);
}

TEST(Advantages, Whitened) {
  // One token each: rewards 0, 1, 2, 3; mean 1.5.
  const double unit = 1 / std::sqrt(5.0 / 3);
  ExpectNear(Advantages(Of("reinforce_pp"), Batch(kTwoGroups)), {-0.5 * unit, -1.5 * unit, 1.5 * unit, 0.5 * unit},
             1e-6);
  // Tokens count, not replies: 1, 1, 1 and 0: mean 0.75, variance 0.25.
  ExpectNear(Advantages(Of("reinforce_pp"), Batch({{{1, 3}, {0, 1}}})), {0.5, 0.5, 0.5, -1.5}, 1e-6);
  // KL and discount: rewards a token -0.05, the last one + r; gamma 0.5: returns of {1, 2 tokens} = 0.425, 0.95; of
  // {0, 1 token} = -0.05. Mean 0.441667.
  const double mean = (0.425 + 0.95 - 0.05) / 3;
  const double deviation =
      std::sqrt((std::pow(0.425 - mean, 2) + std::pow(0.95 - mean, 2) + std::pow(-0.05 - mean, 2)) / 2);
  ExpectNear(Advantages(Of("reinforce_pp", 0.1), Batch({{{1, 2}, {0, 1}}}), 0.5),
             {(0.425 - mean) / deviation, (0.95 - mean) / deviation, (-0.05 - mean) / deviation}, 1e-6);
}

TEST(Advantages, GroupMeanThenWhitened) {
  // 0.5, -0.5, 0.5, -0.5: variance 1 / 3.
  const double unit = 0.5 * std::sqrt(3.0);
  ExpectNear(Advantages(Of("reinforce_pp_baseline"), Batch(kTwoGroups)), {unit, -unit, unit, -unit}, 1e-6);
}

TEST(Advantages, AgainstTheGreedyReply) {
  RolloutBatch batch = Batch(kTwoGroups);
  batch.greedy.resize(2);
  batch.greedy[0].reward.total = 1;
  batch.greedy[1].reward.total = 2.5;
  ExpectNear(Advantages(Of("remax"), batch), {0, -1, 0.5, -0.5});
  batch.greedy[1].reward.gradable = false;
  ExpectNear(Advantages(Of("remax"), batch), {0, -1, 0, 0});
}

TEST(Advantages, WithAValueModel) {
  RolloutBatch batch = Batch({{{1, 2}, {0, 1}}});
  batch.rollouts[0].value_T = {0.5, 0.75};
  batch.rollouts[1].value_T = {0.25};
  // gamma = lambda = 1: 0.5, 0.25, -0.25 with mean 1 / 6; targets are the rewards.
  ComputeAdvantages(Of("ppo"), 1, 1, &batch);
  EXPECT_NEAR(batch.rollouts[0].target_T[0], 1, 1e-12);
  EXPECT_NEAR(batch.rollouts[0].target_T[1], 1, 1e-12);
  EXPECT_NEAR(batch.rollouts[1].target_T[0], 0, 1e-12);
  const double mean = 1.0 / 6, deviation = std::sqrt((1.0 / 9 + 1.0 / 144 + 25.0 / 144) / 2);
  EXPECT_NEAR(batch.rollouts[0].AdvantageAt(0), (0.5 - mean) / deviation, 1e-6);
  EXPECT_NEAR(batch.rollouts[0].AdvantageAt(1), (0.25 - mean) / deviation, 1e-6);
  EXPECT_NEAR(batch.rollouts[1].AdvantageAt(0), (-0.25 - mean) / deviation, 1e-6);
  EXPECT_NEAR(batch.rollouts[0].advantage, (0.375 - mean) / deviation, 1e-6) << "reported: the mean";
  // Errors 0.5, 0.25, -0.25 with variance 0.1458; targets 1, 1, 0 with variance 1 / 3.
  EXPECT_NEAR(ExplainedVariance({&batch.rollouts[0], &batch.rollouts[1]}), 1 - deviation * deviation * 3, 1e-9);
  for (Rollout& r : batch.rollouts) r.value_T = r.target_T;
  EXPECT_EQ(ExplainedVariance({&batch.rollouts[0], &batch.rollouts[1]}), 1.0);
  EXPECT_EQ(ExplainedVariance({&batch.rollouts[0]}), 0.0) << "equal targets explain nothing";
}

TEST(Advantages, WhatIsNotInTheLossDoesNotCount) {
  for (const std::string& name : AlgorithmNames()) {
    RolloutBatch batch = Batch({{{1, 2}, {0, 1}, {9, 4}}, {{5, 1}, {7, 1}, {7, 1}}, {{1, 1}, {0, 1}, {0, 2}}});
    batch.greedy.resize(3);
    for (Rollout& r : batch.rollouts) r.value_T.assign(r.length(), 0.5);
    batch.rollouts[2].reward.gradable = false;
    batch.kept = {0, 2};  // dynamic sampling dropped the second group
    RolloutBatch without = Batch({{{1, 2}, {0, 1}, {0, 3}}, {{1, 1}, {0, 1}, {0, 2}}});
    without.greedy.resize(2);
    for (Rollout& r : without.rollouts) r.value_T.assign(r.length(), 0.5);
    without.rollouts[2].reward.gradable = false;
    ComputeAdvantages(Of(name), 1, 1, &batch);
    ComputeAdvantages(Of(name), 1, 1, &without);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(batch.rollouts[i].advantage, without.rollouts[i].advantage) << name;
      EXPECT_EQ(batch.rollouts[6 + i].advantage, without.rollouts[3 + i].advantage) << name;
      EXPECT_EQ(batch.rollouts[3 + i].advantage, 0.0) << name;
    }
    EXPECT_EQ(batch.rollouts[2].advantage, 0.0) << name;
  }
  // Replies cut off are in the group's mean, but not in the loss.
  RolloutBatch batch = Batch({{{1, 2}, {0, 1}}});
  LossSettings s = Of("grpo");
  s.mask_truncated = true;
  batch.rollouts[1].completion.finish = FinishReason::kLength;
  const std::vector<Rollout*> replies = RepliesInLoss(batch, s);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0], &batch.rollouts[0]);
  s.mask_truncated = false;
  EXPECT_EQ(RepliesInLoss(batch, s).size(), 2u);
}

// Replies of a model whose weights were moved a little: the policy's own log-probabilities, and the weights made of
// them.
TEST(ImportanceWeights, OfAnotherModelsReplies) {
  SetFloatMode();
  ThreadPool pool(2);
  ModelConfig config = ModelPreset("tiny").value();
  config.vocab_size = 64;
  Model policy(config, true), sampler(config, false);
  policy.Init(3);
  policy.Pack(pool);
  Rng rng(4, Stream::kTest);
  for (int64_t i = 0; i < policy.params().total; ++i)
    sampler.data()[i] = policy.data()[i] + 0.01f * static_cast<float>(rng.Normal());
  sampler.Pack(pool);
  OptimizerConfig optimizer;
  Trainer trainer(policy, optimizer, pool);
  for (const bool exact : {true, false}) {
    RolloutEngine engine(exact ? policy : sampler, pool);
    RolloutOptions options;
    options.max_new_tokens = 12;
    options.stop = {0};
    const std::vector<int32_t> prompt = {5, 9, 2};
    auto samples = engine.Run({{prompt, 0, 8}}, options).value();
    RolloutBatch batch;
    batch.generations = 8;
    batch.problems.push_back(TrainTask(TaskKind::kPick, 1, 0));
    batch.kept = {0};
    for (Completion& c : samples[0]) {
      Rollout r;
      r.tokens = prompt;
      r.prompt_tokens = 3;
      r.tokens.insert(r.tokens.end(), c.tokens.begin(), c.tokens.end());
      r.completion = std::move(c);
      batch.rollouts.push_back(std::move(r));
    }
    for (const ImportanceSampling kind :
         {ImportanceSampling::kToken, ImportanceSampling::kSequence, ImportanceSampling::kSequenceMask}) {
      LossSettings settings;
      settings.importance = kind;
      settings.importance_cap = exact ? 1.0 : 1.02;
      const ImportanceStats stats = ScoreReplies(trainer, nullptr, {}, settings, &batch);
      double largest = 0, gap_sum = 0, tokens = 0;
      int capped = 0;
      for (const Rollout& r : batch.rollouts) {
        std::vector<double> own(r.length());
        trainer.Score(policy, std::vector<TrainSequence>{ReplySequence(r)}, {},
                      [&](int, const MicroBatch& m, LogProbs& l) {
                        for (int64_t i = 0; i < m.rows; ++i)
                          own[static_cast<size_t>(m.offset_R[i] - 3)] = static_cast<double>(l.logp[i]);
                      });
        double product = 1;
        for (size_t t = 0; t < r.length(); ++t) product *= std::exp(own[t] - static_cast<double>(r.completion.logp[t]));
        for (size_t t = 0; t < r.length(); ++t) {
          ASSERT_EQ(static_cast<double>(r.old_logp()[t]), own[t]);
          const double gap = own[t] - static_cast<double>(r.completion.logp[t]);
          const double ratio = kind == ImportanceSampling::kToken ? std::exp(gap) : product;
          const bool over = ratio > settings.importance_cap;
          const double want = !over ? ratio : kind == ImportanceSampling::kSequenceMask ? 0.0 : 1.02;
          if (exact) {
            ASSERT_EQ(r.weight_T[t], 1.0);
          } else {
            ASSERT_NEAR(r.weight_T[t], want, 1e-9);
          }
          largest = std::max(largest, ratio);
          gap_sum -= gap;
          ++tokens;
          capped += over ? 1 : 0;
        }
      }
      EXPECT_NEAR(stats.max, largest, 1e-9);
      EXPECT_NEAR(stats.kl, gap_sum / tokens, 1e-12);
      EXPECT_EQ(capped > 0, !exact) << "a test without capped weights tests little";
    }
  }
}

}  // namespace
}  // namespace r1
