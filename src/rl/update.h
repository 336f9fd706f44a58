// All updates of one rollout: num_iterations passes, each over mini_batches parts of the kept groups, each part one
// optimizer step with the loss of rl/loss.h (and one of the value model, with PPO).
#pragma once

#include "rl/algorithm.h"
#include "rl/batch.h"
#include "rl/ppo.h"
#include "train/trainer.h"

namespace r1 {

// Sums over the tokens of updates, kept per shard and added in shard order.
struct UpdateSums {
  double loss = 0, kl = 0, tokens = 0, clipped_low = 0, clipped_high = 0, clipped_dual = 0;
  double mismatch_max = 0, mismatch_tokens = 0;  // trainer against sampler, first update of a rollout
  void Add(const UpdateSums& o);
};

struct UpdateTotals {
  UpdateSums sums;
  double grad_norm = 0, learning_rate = 0;
  int64_t updates = 0, trained_tokens = 0;
  StepReport last;
  ValueTotals value;
  bool finite = true;
};

// Where in training a rollout's updates are.
struct UpdatePlace {
  int64_t step = 0;                // of the loop, from 1
  int64_t first_update = 0;        // optimizer steps done before
  int64_t first_value_update = 0;  // those of the value model
  int64_t max_updates = 0;         // of the whole stage
  double schedule_progress = 0;    // PassOptions::schedule_progress
  bool policy_learns = true;       // false while the value model warms up
};

class Updater {
 public:
  // value may be null.
  Updater(Trainer& trainer, ValueLearner* value, const RlConfig& config, const LossSettings& loss, uint64_t seed)
      : trainer_(trainer), value_(value), config_(config), loss_(loss), seed_(seed) {}
  UpdateTotals Run(const RolloutBatch& batch, const UpdatePlace& place);
  PassOptions Pass() const;

 private:
  void Update(const RolloutBatch& batch, const std::vector<size_t>& prompts, const UpdatePlace& place,
              UpdateTotals* totals);
  void UpdatePolicy(const std::vector<const Rollout*>& replies, const UpdatePlace& place, UpdateTotals* totals);
  bool HasGradient(const Rollout& r) const;

  Trainer& trainer_;
  ValueLearner* value_;
  const RlConfig& config_;
  const LossSettings& loss_;
  uint64_t seed_;
};

}  // namespace r1
