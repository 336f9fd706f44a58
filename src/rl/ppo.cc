#include "rl/ppo.h"

#include <algorithm>
#include <cmath>

#include "rl/advantage.h"
#include "rl/experience.h"
#include "rl/loss.h"

namespace r1 {

namespace {

OptimizerConfig CriticOptimizer(const RlConfig& config) {
  OptimizerConfig optimizer = config.optimizer;
  if (config.critic_learning_rate > 0) optimizer.learning_rate = config.critic_learning_rate;
  return optimizer;
}

}  // namespace

ValueLearner::ValueLearner(Model model, const RlConfig& config, ThreadPool& pool)
    : model_(std::move(model)), coef_(config.vf_coef), range_(config.cliprange_value) {
  trainer_ = std::make_unique<Trainer>(model_, CriticOptimizer(config), pool);
}

void ValueLearner::Score(const std::vector<Rollout*>& replies) {
  std::vector<TrainSequence> sequences;
  for (Rollout* r : replies) {
    sequences.push_back(ReplySequence(*r));
    r->value_T.assign(r->length(), 0.0);
  }
  trainer_->ScoreValues(model_, sequences, {}, [&](int, const MicroBatch& m, Values& v) {
    for (int64_t i = 0; i < m.rows; ++i) {
      Rollout& r = *replies[static_cast<size_t>(m.sequence_R[i])];
      r.value_T[static_cast<size_t>(m.offset_R[i] - r.prompt_tokens)] = static_cast<double>(v.value[i]);
    }
  });
}

void ValueLearner::Step(const std::vector<const Rollout*>& replies, int64_t step, int64_t max_steps,
                        double schedule_progress, ValueTotals* totals) {
  std::vector<TrainSequence> sequences;
  double tokens = 0;
  for (const Rollout* r : replies) {
    sequences.push_back(ReplySequence(*r));
    tokens += static_cast<double>(r->length());
  }
  if (tokens == 0) return;
  const size_t shards = static_cast<size_t>(trainer_->shards());
  std::vector<double> loss(shards), clipped(shards);
  PassOptions options;
  options.schedule_progress = schedule_progress;
  const StepReport report =
      trainer_->StepValues(step, max_steps, sequences, options, [&](int shard, const MicroBatch& m, Values& v) {
        for (int64_t i = 0; i < m.rows; ++i) {
          const Rollout& r = *replies[static_cast<size_t>(m.sequence_R[i])];
          const size_t t = static_cast<size_t>(m.offset_R[i] - r.prompt_tokens);
          const ValueLoss l =
              ValueTokenLoss(static_cast<double>(v.value[i]), r.value_T[t], r.target_T[t], coef_, range_);
          v.dvalue[i] = static_cast<float>(l.dvalue / tokens);
          loss[static_cast<size_t>(shard)] += l.loss / tokens;
          clipped[static_cast<size_t>(shard)] += l.clipped ? 1 : 0;
        }
      });
  double sum = 0;
  for (size_t s = 0; s < shards; ++s) {
    sum += loss[s];
    totals->clipped += clipped[s];
  }
  totals->loss += sum;
  totals->tokens += tokens;
  totals->grad_norm = std::max(totals->grad_norm, report.grad_norm);
  totals->finite = totals->finite && report.finite && std::isfinite(sum);
  ++totals->updates;
}

std::vector<FlatFile> ValueLearner::Files() {
  return {{"value.safetensors", &model_.params(), {{"", model_.data()}}},
          {"value_optimizer.safetensors",
           &model_.params(),
           {{"exp_avg.", trainer_->first_moment()}, {"exp_avg_sq.", trainer_->second_moment()}}}};
}

double ExplainedVariance(const std::vector<Rollout*>& replies) {
  std::vector<double> target, error;
  for (const Rollout* r : replies) {
    for (size_t t = 0; t < r->target_T.size(); ++t) {
      target.push_back(r->target_T[t]);
      error.push_back(r->target_T[t] - r->value_T[t]);
    }
  }
  const Moments of_target = MomentsOf(target, {}), of_error = MomentsOf(error, {});
  return of_target.equal ? 0.0 : 1 - of_error.std * of_error.std / (of_target.std * of_target.std);
}

}  // namespace r1
