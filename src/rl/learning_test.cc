// Does the update do what reinforcement learning is for? On cases small enough to see: two replies
// with opposite advantages, and a bandit with one rewarded answer, through the real sampler,
// advantages, loss and trainer.
#include <gtest/gtest.h>

#include <numeric>

#include "infer/rollout.h"
#include "rl/advantage.h"
#include "rl/loss.h"
#include "train/trainer.h"

namespace r1 {
namespace {

constexpr int64_t kVocab = 32;

Model SmallModel(const char* preset, ThreadPool& pool) {
  ModelConfig config = ModelPreset(preset).value();
  config.vocab_size = kVocab;
  Model model(config, true);
  model.Init(3);
  model.Pack(pool);
  return model;
}

OptimizerConfig Adam(double learning_rate) {
  OptimizerConfig c;
  c.learning_rate = learning_rate;
  c.lr_scheduler_type = "constant";
  c.warmup_steps = 0;
  c.weight_decay = 0;
  return c;
}

// Log-probability of each sequence's reply.
std::vector<double> ReplyLogProbs(Trainer& trainer, const std::vector<TrainSequence>& sequences,
                                  std::vector<std::vector<double>>* tokens = nullptr) {
  std::vector<double> sum(sequences.size());
  if (tokens != nullptr) tokens->assign(sequences.size(), std::vector<double>(64));
  trainer.Score(trainer.model(), sequences, {}, [&](int, const MicroBatch& m, LogProbs& l) {
    for (int64_t i = 0; i < m.rows; ++i) {
      const size_t s = static_cast<size_t>(m.sequence_R[i]);
      sum[s] += static_cast<double>(l.logp[i]);
      if (tokens != nullptr) (*tokens)[s][static_cast<size_t>(m.offset_R[i])] = static_cast<double>(l.logp[i]);
    }
  });
  return sum;
}

TEST(Learning, GoodReplyRisesBadReplyFalls) {
  ThreadPool pool(1);
  SetFloatMode();
  for (const char* preset : {"tiny", "tiny-dense"}) {
    for (const Aggregation aggregation : {Aggregation::kTokenMean, Aggregation::kSequenceMean, Aggregation::kConstant}) {
      Model model = SmallModel(preset, pool);
      Trainer trainer(model, Adam(1e-3), pool);
      const int loss_type = static_cast<int>(aggregation);
      const std::vector<int32_t> good = {1, 2, 3, 9, 4, 17, 6}, bad = {1, 2, 3, 21, 30, 5, 11, 8};
      const std::vector<TrainSequence> sequences = {{good.data(), 7, 3}, {bad.data(), 8, 3}};
      const double advantage[] = {1.0, -1.0}, length[] = {4, 5};
      std::vector<std::vector<double>> old;
      const std::vector<double> before = ReplyLogProbs(trainer, sequences, &old);
      std::vector<double> last = before;
      for (int step = 0; step < 4; ++step) {
        trainer.Step(step, 4, sequences, {}, [&](int, const MicroBatch& m, LogProbs& l) {
          for (int64_t i = 0; i < m.rows; ++i) {
            const size_t s = static_cast<size_t>(m.sequence_R[i]);
            const double logp = static_cast<double>(l.logp[i]);
            const TokenLoss t =
                PolicyTokenLoss({logp, logp - old[s][static_cast<size_t>(m.offset_R[i])], 0, advantage[s], 1}, {});
            l.dlogp[i] = static_cast<float>(t.dlogp * TokenWeight(aggregation, length[s], 2, 9, 10));
          }
        });
        const std::vector<double> now = ReplyLogProbs(trainer, sequences);
        if (step == 0) {
          EXPECT_GT(now[0], before[0]) << preset << " " << loss_type;
          EXPECT_LT(now[1], before[1]) << preset << " " << loss_type;
        }
        last = now;
      }
      EXPECT_GT(last[0], before[0] + 0.1) << preset << " " << loss_type;
      EXPECT_LT(last[1], before[1] - 0.1) << preset << " " << loss_type;
    }
  }
}

// One prompt, replies of one token, one of the 32 is rewarded.
TEST(Learning, BanditFindsTheRewardedAnswer) {
  ThreadPool pool(2);
  SetFloatMode();
  constexpr int32_t kRewarded = 13;
  const std::vector<int32_t> prompt = {1, 7, 2};
  for (const bool flip : {false, true}) {  // with the reward's sign turned the answer must vanish instead
    Model model = SmallModel("tiny", pool);
    Trainer trainer(model, Adam(2e-3), pool);
    RolloutEngine engine(model, pool);
    const auto probability = [&] {
      return static_cast<double>(NextTokenProbabilities(model, pool, {prompt}, {{kRewarded}})[0][0]);
    };
    const double before = probability();
    EXPECT_LT(before, 0.2);
    for (uint32_t step = 0; step < 25; ++step) {
      RolloutOptions options;
      options.max_new_tokens = 1;
      options.seed = 5;
      options.step = step;
      const auto samples = engine.Run({{prompt, 0, 128}}, options);
      ASSERT_TRUE(samples.ok());
      std::vector<double> reward;
      std::vector<std::vector<int32_t>> tokens;
      for (const Completion& c : (*samples)[0]) {
        reward.push_back((c.tokens[0] == kRewarded ? 1.0 : 0.0) * (flip ? -1 : 1));
        tokens.push_back(prompt);
        tokens.back().push_back(c.tokens[0]);
      }
      const GroupAdvantage advantage = ComputeGroupAdvantage(reward, {}, true);
      if (advantage.zero_std) continue;
      std::vector<TrainSequence> sequences;
      for (const auto& t : tokens) sequences.push_back({t.data(), static_cast<int64_t>(t.size()), 3});
      trainer.Step(step, 25, sequences, {}, [&](int, const MicroBatch& m, LogProbs& l) {
        for (int64_t i = 0; i < m.rows; ++i) {
          const size_t s = static_cast<size_t>(m.sequence_R[i]);
          const double old_logp = static_cast<double>((*samples)[0][s].logp[0]);
          ASSERT_EQ(static_cast<double>(l.logp[i]), old_logp) << "the trainer sees what the sampler saw";
          l.dlogp[i] =
              static_cast<float>(PolicyTokenLoss({old_logp, 0, 0, advantage.advantage[s], 1}, {}).dlogp / 128);
        }
      });
    }
    if (flip) {
      EXPECT_LT(probability(), before / 2);
    } else {
      EXPECT_GT(probability(), 0.9);
    }
  }
}

}  // namespace
}  // namespace r1
