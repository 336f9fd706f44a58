// Settings shared by everything that takes gradient steps. Names follow TRL and transformers.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace r1 {

struct OptimizerConfig {
  double learning_rate = 2.5e-3;
  std::string lr_scheduler_type = "cosine";
  double min_lr_ratio = 0.1;
  int64_t warmup_steps = 50;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.98;
  double adam_epsilon = 1e-8;
  double weight_decay = 0.1;
  double max_grad_norm = 1.0;
  double router_bias_update = 0.001;
  int64_t grad_shards = 2;
  int64_t micro_tokens = 1024;

  template <class V>
  void Fields(V& v) {
    v("learning_rate", learning_rate, "peak learning rate");
    v("lr_scheduler_type", lr_scheduler_type, "constant, or cosine down to min_lr_ratio (both after warm-up)");
    v("min_lr_ratio", min_lr_ratio, "final learning rate of the cosine, as a share of the peak");
    v("warmup_steps", warmup_steps, "steps of linear warm-up");
    v("adam_beta1", adam_beta1, "AdamW first-moment decay");
    v("adam_beta2", adam_beta2, "AdamW second-moment decay");
    v("adam_epsilon", adam_epsilon, "AdamW epsilon");
    v("weight_decay", weight_decay, "decoupled weight decay, on matrices only");
    v("max_grad_norm", max_grad_norm, "gradient clipping norm; 0: none");
    v("router_bias_update", router_bias_update, "step of the aux-loss-free expert balance after each update; 0: off");
    v("grad_shards", grad_shards,
      "parts of a step that may run in parallel; part of the arithmetic, not of the machine");
    v("micro_tokens", micro_tokens, "tokens of one forward and backward pass inside a shard");
  }
};

Status ValidateOptimizerConfig(const OptimizerConfig& config, const std::string& where);
// Learning rate of step (0-based) of max_steps. least_progress: share of the schedule after warm-up that counts as done
// even if the steps have not got there (a budget of tokens).
double LearningRateAt(const OptimizerConfig& config, int64_t step, int64_t max_steps, double least_progress = 0);

}  // namespace r1
