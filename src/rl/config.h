// Settings of reinforcement learning with verifiable rewards. Names follow TRL's GRPO trainer; formulas in rl/loss.h
// and rl/advantage.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "infer/sampler.h"
#include "reward/rewards.h"
#include "train/config.h"

namespace r1 {

struct LossConfig {
  std::string algorithm = "grpo";
  std::string loss_type = "dapo";
  std::string scale_rewards = "group";
  double epsilon = 0.2;
  double epsilon_high = 0.0;
  double beta = 0.0;

  template <class V>
  void Fields(V& v) {
    v("algorithm", algorithm, "grpo (more to come)");
    v("loss_type", loss_type,
      "dapo: mean over the tokens of the batch; grpo: mean over tokens of a reply, then over replies; dr_grpo: sum "
      "over tokens / (replies x max_completion_length)");
    v("scale_rewards", scale_rewards, "group: divide advantages by the group's standard deviation; none: do not");
    v("epsilon", epsilon, "clip range of the probability ratio below 1 (and above, unless epsilon_high is set)");
    v("epsilon_high", epsilon_high, "clip range above 1; 0: as epsilon");
    v("beta", beta, "weight of the KL penalty (k3 estimator) to the reference policy; 0: no reference is kept");
  }
};

struct RlConfig {
  OptimizerConfig optimizer;
  LossConfig loss;
  std::string task = "pick";
  int64_t max_steps = 150;
  int64_t num_prompts = 32;
  int64_t num_generations = 8;
  int64_t max_completion_length = 150;
  double temperature = 1.0;
  int64_t num_iterations = 1;
  int64_t mini_batches = 1;
  int64_t ref_sync_steps = 400;
  double reward_accuracy = 1.0;
  double reward_format = 0.2;
  double reward_language = 0.0;
  int64_t save_steps = 25;
  int64_t save_total_limit = 2;
  int64_t log_completions_steps = 10;
  int64_t slots = 128;

  RlConfig() {
    optimizer.learning_rate = 3e-4;
    optimizer.lr_scheduler_type = "constant";
    optimizer.warmup_steps = 0;
    optimizer.adam_beta1 = 0.9;
    optimizer.adam_beta2 = 0.95;
    optimizer.weight_decay = 0.0;
  }

  template <class V>
  void Fields(V& v) {
    optimizer.Fields(v);
    loss.Fields(v);
    v("task", task, "what is trained on: pick (three of five numbers with a given sum)");
    v("max_steps", max_steps, "rollout steps");
    v("num_prompts", num_prompts, "prompts of a rollout");
    v("num_generations", num_generations, "completions of a prompt (the group)");
    v("max_completion_length", max_completion_length, "longest completion, tokens");
    v("temperature", temperature, "sampling temperature of rollouts; log-probabilities are of this distribution");
    v("num_iterations", num_iterations, "passes over a rollout (mu in the GRPO paper)");
    v("mini_batches", mini_batches, "optimizer updates of one pass, each on a part of the prompts");
    v("ref_sync_steps", ref_sync_steps,
      "steps after which the reference becomes the current policy (beta > 0); 0: never");
    v("reward_accuracy", reward_accuracy, "weight of the accuracy reward (0 or 1)");
    v("reward_format", reward_format, "weight of the format reward (0 or 1)");
    v("reward_language", reward_language, "weight of the language-consistency reward (0 .. 1)");
    v("save_steps", save_steps, "steps between checkpoints; 0: only the last");
    v("save_total_limit", save_total_limit, "checkpoints kept; 0: all");
    v("log_completions_steps", log_completions_steps, "steps between files of all completions; 0: none");
    v("slots", slots, "sequences a thread decodes together; changes the speed only");
  }

  std::vector<RewardWeight> Weights() const;
};

Status ValidateRlConfig(const RlConfig& config, const std::string& where);

}  // namespace r1
