// The value model of PPO: a copy of the policy's body with a scalar head, its own optimizer and its own updates. The
// value before token t of a reply is read where the policy predicts that token, so V_0 has seen the prompt only.
//   loss = vf_coef x mean over the tokens of the update of max((V - R)^2, (V_clip - R)^2)   (rl/loss.h; 0.5 is training
//   facts 2)
// Every update of the policy is followed by one of the value model on the same replies. In the first
// critic_warmup_steps steps only the value model learns.
#pragma once

#include <memory>
#include <vector>

#include "rl/algorithm.h"
#include "rl/batch.h"
#include "train/run_files.h"
#include "train/trainer.h"

namespace r1 {

struct ValueTotals {
  double loss = 0;  // summed over updates
  double clipped = 0, tokens = 0;
  double grad_norm = 0;  // largest
  int64_t updates = 0;
  bool finite = true;
};

class ValueLearner {
 public:
  ValueLearner(Model model, const RlConfig& config, ThreadPool& pool);
  // Sets value_T of the replies.
  void Score(const std::vector<Rollout*>& replies);
  // One update towards target_T. step counts the value model's updates from 0.
  void Step(const std::vector<const Rollout*>& replies, int64_t step, int64_t max_steps, double schedule_progress,
            ValueTotals* totals);
  // The value model and its optimizer, for checkpoints: value.safetensors, value_optimizer.safetensors.
  std::vector<FlatFile> Files();
  void Repack() { model_.Pack(trainer_->pool()); }

 private:
  Model model_;
  double coef_, range_;
  std::unique_ptr<Trainer> trainer_;
};

// 1 - Var(target - value) / Var(target) over the tokens of the replies; 0 if the targets are all equal.
double ExplainedVariance(const std::vector<Rollout*>& replies);

}  // namespace r1
