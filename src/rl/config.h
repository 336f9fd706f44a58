// Settings of reinforcement learning. Names follow TRL's GRPO and PPO trainers. "auto" is what the algorithm asks for
// (table in rl/algorithm.h); formulas in rl/loss.h and rl/advantage.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "infer/sampler.h"
#include "model/lora.h"
#include "reward/rewards.h"
#include "train/config.h"

namespace r1 {

struct LossConfig {
  std::string algorithm = "grpo";
  std::string loss_type = "auto";
  std::string scale_rewards = "auto";
  double epsilon = 0.0;
  double epsilon_high = 0.0;
  double delta = 0.0;
  double beta = 0.0;
  std::string kl_estimator = "auto";
  std::string kl_in = "auto";
  double entropy_coef = 0.0;
  bool mask_truncated_completions = false;
  std::string importance_sampling = "none";
  double importance_sampling_cap = 2.0;

  template <class V>
  void Fields(V& v) {
    v("algorithm", algorithm,
      "grpo, dr_grpo, dapo, rloo, reinforce_pp, reinforce_pp_baseline, remax, gspo, cispo or ppo");
    v("loss_type", loss_type,
      "dapo: mean over the tokens of the batch; grpo: mean over tokens of a reply, then over replies; dr_grpo: sum "
      "over tokens / (replies x max_completion_length); auto: the algorithm's (dapo, but grpo for gspo and dr_grpo for "
      "dr_grpo)");
    v("scale_rewards", scale_rewards,
      "group: divide advantages by the group's standard deviation; batch: by that of all rewards of the rollout; none: "
      "do not; auto: the algorithm's");
    v("epsilon", epsilon,
      "clip range of the probability ratio below 1 (and above, unless epsilon_high is set); 0: the algorithm's (0.2, "
      "gspo 3e-4)");
    v("epsilon_high", epsilon_high,
      "clip range above 1; 0: the algorithm's, or as epsilon if that is set (dapo 0.28, gspo 4e-4); cispo: the largest "
      "weight itself (5)");
    v("delta", delta, "dual clip: with a negative advantage the ratio counts at most this much (verl: 3); 0: off");
    v("beta", beta, "weight of the KL penalty to the reference policy; 0: no reference is kept");
    v("kl_estimator", kl_estimator, "k1, k2 or k3 (rl/loss.h); auto: the algorithm's");
    v("kl_in", kl_in,
      "loss: the penalty is a term of the loss; reward: it is taken from the reward; auto: the algorithm's");
    v("entropy_coef", entropy_coef, "weight of the entropy bonus in the loss");
    v("mask_truncated_completions", mask_truncated_completions,
      "leave replies cut off at max_completion_length out of the loss (their rewards still count in the group's mean)");
    v("importance_sampling", importance_sampling,
      "correction for rollouts by another distribution than the trainer's: none, token, sequence (weights cut off at "
      "the cap), token_mask, sequence_mask (weights above the cap become 0)");
    v("importance_sampling_cap", importance_sampling_cap, "largest importance weight");
  }
};

struct RlConfig {
  OptimizerConfig optimizer;
  LoraConfig lora;
  LossConfig loss;
  std::string task = "pick";
  std::string system_prompt;
  std::string reply_form = "think";
  std::string think_open = "<think>";
  std::string think_close = "</think>";
  int64_t max_steps = 150;
  int64_t num_prompts = 32;
  int64_t num_generations = 8;
  int64_t max_completion_length = 150;
  double temperature = 1.0;
  int64_t num_iterations = 1;
  int64_t mini_batches = 1;
  int64_t ref_sync_steps = 400;
  double ref_model_mixup_alpha = 1.0;
  double reward_accuracy = 1.0;
  double reward_format = 0.2;
  double reward_language = 0.0;
  double reward_helpful = 1.0;
  double reward_harmless = 1.0;
  std::string dynamic_sampling = "auto";
  int64_t max_sampling_rounds = 4;
  int64_t overlong_buffer = -1;
  double gamma = 1.0;
  double lam = 1.0;
  double vf_coef = 0.5;
  double cliprange_value = 0.2;
  double critic_learning_rate = 0.0;
  int64_t critic_warmup_steps = 0;
  int64_t max_sampled_tokens = 0;
  int64_t eval_steps = 0;
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
    lora.Fields(v);
    loss.Fields(v);
    v("task", task,
      "what is trained on: pick (three of five numbers with a given sum), code (a small program), helpful and harmless "
      "(open requests, judged by reward models), data (the problems of --data), or a mix with shares: "
      "pick:0.75,code:0.25");
    v("system_prompt", system_prompt,
      "system message before every problem of --data; the model's chat template must take one");
    v("reply_form", reply_form,
      "what the format reward asks of replies to --data: think (thinking in its tags, then content), think_answer (and "
      "the content in <answer> tags), ended (only that they come to an end)");
    v("think_open", think_open, "tag that opens thinking, in replies to --data");
    v("think_close", think_close, "tag that closes it");
    v("max_steps", max_steps, "rollout steps");
    v("num_prompts", num_prompts, "prompts of a rollout");
    v("num_generations", num_generations, "completions of a prompt (the group)");
    v("max_completion_length", max_completion_length, "longest completion, tokens");
    v("temperature", temperature, "sampling temperature of rollouts; log-probabilities are of this distribution");
    v("num_iterations", num_iterations, "passes over a rollout (mu in the GRPO paper)");
    v("mini_batches", mini_batches, "optimizer updates of one pass, each on a part of the prompts");
    v("ref_sync_steps", ref_sync_steps,
      "steps after which the reference moves to the current policy (beta > 0); 0: never");
    v("ref_model_mixup_alpha", ref_model_mixup_alpha,
      "how far it moves: reference = alpha x policy + (1 - alpha) x reference; 1: it becomes the policy");
    v("reward_accuracy", reward_accuracy,
      "weight of the accuracy reward (0 or 1); for --data the final answer (<answer>, \\boxed or ####) must be the "
      "solution's text or number: no grader of formulas");
    v("reward_format", reward_format, "weight of the format reward (0 or 1)");
    v("reward_language", reward_language, "weight of the language-consistency reward (0 .. 1)");
    v("reward_helpful", reward_helpful, "weight of the helpfulness model's reward (0 .. 1), helpful requests only");
    v("reward_harmless", reward_harmless, "weight of the safety model's reward (0 .. 1), harmless requests only");
    v("dynamic_sampling", dynamic_sampling,
      "on: learn only from groups that are neither all right nor all wrong, and sample until there are num_prompts of "
      "them; off; auto: on for dapo");
    v("max_sampling_rounds", max_sampling_rounds, "rollouts of a step at most, with dynamic sampling");
    v("overlong_buffer", overlong_buffer,
      "tokens before max_completion_length over which a penalty grows from 0 to -1; 0: none; -1: the algorithm's "
      "(dapo: "
      "a fifth of max_completion_length)");
    v("gamma", gamma, "discount per token (ppo, reinforce_pp, reinforce_pp_baseline)");
    v("lam", lam, "lambda of generalised advantage estimation (ppo)");
    v("vf_coef", vf_coef, "weight of the value loss (ppo)");
    v("cliprange_value", cliprange_value, "clip range of the value around its old value (ppo); 0: none");
    v("critic_learning_rate", critic_learning_rate, "learning rate of the value model (ppo); 0: as learning_rate");
    v("critic_warmup_steps", critic_warmup_steps, "steps at the beginning in which only the value model learns (ppo)");
    v("max_sampled_tokens", max_sampled_tokens,
      "the stage ends after the step in which this many tokens have been sampled, and the cosine follows whichever of "
      "steps and tokens is further on; 0: no limit");
    v("eval_steps", eval_steps, "steps between evaluations on held-out problems (and one at the end); 0: none");
    v("save_steps", save_steps, "steps between checkpoints; 0: only the last");
    v("save_total_limit", save_total_limit, "checkpoints kept; 0: all");
    v("log_completions_steps", log_completions_steps, "steps between files of all completions; 0: none");
    v("slots", slots, "sequences a thread decodes together; changes the speed only");
  }
};

Status ValidateRlConfig(const RlConfig& config, const std::string& where);

}  // namespace r1
