// Does the update do what reinforcement learning is for? On cases small enough to see: two replies
// with opposite advantages, and a bandit with one rewarded answer, through the real sampler,
// advantages, loss and trainer.
#include <gtest/gtest.h>

#include <numeric>

#include "infer/rollout.h"
#include "model/io.h"
#include "rl/advantage.h"
#include "rl/experience.h"
#include "rl/loss.h"
#include "rl/update.h"
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
    for (const Aggregation aggregation :
         {Aggregation::kTokenMean, Aggregation::kSequenceMean, Aggregation::kConstant}) {
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
          l.dlogp[i] = static_cast<float>(PolicyTokenLoss({old_logp, 0, 0, advantage.advantage[s], 1}, {}).dlogp / 128);
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

// Eight prompts, replies of two tokens, the reward is the share of tokens that are the wanted one. Every algorithm gets
// most of it in 30 rollouts of two updates each, through its own advantages, loss and, for PPO, value model.
class EveryAlgorithm : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryAlgorithm, FindsTheRewardedAnswer) {
  ThreadPool pool(2);
  SetFloatMode();
  constexpr int32_t kWanted = 13;
  constexpr size_t kPrompts = 8, kSamples = 8;
  RlConfig config;
  config.loss.algorithm = GetParam();
  config.dynamic_sampling = "off";
  config.overlong_buffer = 0;
  config.num_prompts = kPrompts;
  config.num_generations = kSamples;
  config.max_completion_length = 2;
  config.mini_batches = 2;
  config.optimizer = Adam(2e-3);
  const LossSettings loss = ResolveLoss(config, "test").value();
  Model model = SmallModel("tiny", pool);
  Trainer trainer(model, config.optimizer, pool);
  RolloutEngine engine(model, pool);
  ValueLearner value(CopyBody(model, 1, pool, 3).value(), config, pool);
  Updater updater(trainer, loss.needs_value() ? &value : nullptr, config, loss, 5);
  const auto sample = [&](uint32_t step, bool greedy, RolloutBatch* batch, std::vector<Rollout>* out) {
    RolloutOptions options;
    options.sampling.temperature = greedy ? 0 : 1;
    options.max_new_tokens = 2;
    options.seed = 5;
    options.step = step;
    std::vector<RolloutRequest> requests;
    for (uint32_t p = 0; p < kPrompts; ++p)
      requests.push_back({{1, 7, static_cast<int32_t>(16 + p)}, p, static_cast<int64_t>(greedy ? 1 : kSamples)});
    auto samples = engine.Run(requests, options).value();
    double sum = 0;
    for (size_t p = 0; p < kPrompts; ++p) {
      if (!greedy) {
        batch->problems.emplace_back();
        batch->kept.push_back(p);
      }
      for (Completion& c : samples[p]) {
        Rollout r;
        r.prompt = p;
        r.tokens = requests[p].prompt;
        r.prompt_tokens = 3;
        r.tokens.insert(r.tokens.end(), c.tokens.begin(), c.tokens.end());
        for (const int32_t token : c.tokens) r.reward.total += token == kWanted ? 0.5 : 0.0;
        sum += r.reward.total;
        r.completion = std::move(c);
        out->push_back(std::move(r));
      }
    }
    return sum / static_cast<double>(out->size());
  };
  double first = 0, last = 0;
  UpdatePlace place;
  place.max_updates = 60;
  for (uint32_t step = 1; step <= 30; ++step) {
    RolloutBatch batch;
    batch.generations = kSamples;
    const double reward = sample(step, false, &batch, &batch.rollouts);
    if (loss.needs_greedy()) sample(step, true, &batch, &batch.greedy);
    if (loss.needs_value()) value.Score(RepliesInLoss(batch, loss));
    ComputeAdvantages(loss, config.gamma, config.lam, &batch);
    place.step = step;
    const UpdateTotals update = updater.Run(batch, place);
    ASSERT_TRUE(update.finite);
    ASSERT_EQ(update.sums.mismatch_tokens, 0);
    place.first_update += update.updates;
    place.first_value_update += update.value.updates;
    if (step <= 2) first += reward / 2;
    if (step > 28) last += reward / 2;
  }
  EXPECT_LT(first, 0.2);
  EXPECT_GT(last, 0.75);
}

INSTANTIATE_TEST_SUITE_P(Learning, EveryAlgorithm, ::testing::ValuesIn(AlgorithmNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace r1
