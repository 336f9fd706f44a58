#include "rl/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace r1 {
namespace {

TEST(RlConfig, DefaultsAreValidAndThePapers) {
  const RlConfig c;
  EXPECT_TRUE(ValidateRlConfig(c, "here").ok());
  EXPECT_EQ(c.loss.beta, 0.0);
  EXPECT_EQ(c.optimizer.lr_scheduler_type, "constant");
  EXPECT_EQ(c.reward_language, 0.0) << "no language term unless it is asked for";
}

TEST(RlConfig, EveryImpossibleSettingIsRefusedByName) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Case {
    const char* named;
    std::function<void(RlConfig&)> set;
  };
  const Case cases[] = {
      {"algorithm 'gpro' is not known; did you mean 'grpo'?", [](RlConfig& c) { c.loss.algorithm = "gpro"; }},
      {"loss_type 'sum'", [](RlConfig& c) { c.loss.loss_type = "sum"; }},
      {"scale_rewards 'all'", [](RlConfig& c) { c.loss.scale_rewards = "all"; }},
      {"does not go with algorithm 'ppo'",
       [](RlConfig& c) {
         c.loss.algorithm = "ppo";
         c.loss.scale_rewards = "group";
       }},
      {"does not go with algorithm 'remax'",
       [](RlConfig& c) {
         c.loss.algorithm = "remax";
         c.loss.scale_rewards = "group";
       }},
      {"kl_estimator 'k4'", [](RlConfig& c) { c.loss.kl_estimator = "k4"; }},
      {"kl_in 'advantage'", [](RlConfig& c) { c.loss.kl_in = "advantage"; }},
      {"importance_sampling 'auto'", [](RlConfig& c) { c.loss.importance_sampling = "auto"; }},
      {"importance_sampling_cap", [](RlConfig& c) { c.loss.importance_sampling_cap = 0.5; }},
      {"dynamic_sampling 'yes'", [](RlConfig& c) { c.dynamic_sampling = "yes"; }},
      {"delta", [](RlConfig& c) { c.loss.delta = 1.2; }},
      {"delta", [&](RlConfig& c) { c.loss.delta = nan; }},
      {"delta",
       [](RlConfig& c) {
         c.loss.algorithm = "cispo";
         c.loss.delta = 9;
       }},
      {"entropy_coef", [&](RlConfig& c) { c.loss.entropy_coef = inf; }},
      {"overlong_buffer", [](RlConfig& c) { c.overlong_buffer = c.max_completion_length; }},
      {"overlong_buffer", [](RlConfig& c) { c.overlong_buffer = -2; }},
      {"max_sampling_rounds", [](RlConfig& c) { c.max_sampling_rounds = 0; }},
      {"max_sampled_tokens", [](RlConfig& c) { c.max_sampled_tokens = -1; }},
      {"ref_model_mixup_alpha", [](RlConfig& c) { c.ref_model_mixup_alpha = 0; }},
      {"ref_model_mixup_alpha", [&](RlConfig& c) { c.ref_model_mixup_alpha = nan; }},
      {"gamma", [](RlConfig& c) { c.gamma = 1.01; }},
      {"lam", [&](RlConfig& c) { c.lam = nan; }},
      {"vf_coef", [](RlConfig& c) { c.vf_coef = 0; }},
      {"cliprange_value", [](RlConfig& c) { c.cliprange_value = -1; }},
      {"critic_learning_rate", [](RlConfig& c) { c.critic_learning_rate = -1; }},
      {"must not be negative", [](RlConfig& c) { c.critic_warmup_steps = -1; }},
      {"must not be negative", [](RlConfig& c) { c.eval_steps = -1; }},
      {"reward weights", [&](RlConfig& c) { c.reward_helpful = nan; }},
      {"num_generations",
       [](RlConfig& c) {
         c.loss.algorithm = "ppo";
         c.num_generations = 0;
       }},
      {"epsilon", [](RlConfig& c) { c.loss.epsilon = -0.1; }},
      {"epsilon", [&](RlConfig& c) { c.loss.epsilon = nan; }},
      {"epsilon_high", [](RlConfig& c) { c.loss.epsilon_high = -0.1; }},
      {"epsilon_high", [&](RlConfig& c) { c.loss.epsilon_high = inf; }},
      {"beta", [](RlConfig& c) { c.loss.beta = -1; }},
      {"beta", [&](RlConfig& c) { c.loss.beta = nan; }},
      {"no task 'sudoku'", [](RlConfig& c) { c.task = "sudoku"; }},
      {"max_steps", [](RlConfig& c) { c.max_steps = 0; }},
      {"num_prompts", [](RlConfig& c) { c.num_prompts = 0; }},
      {"num_generations", [](RlConfig& c) { c.num_generations = 1; }},
      {"max_completion_length", [](RlConfig& c) { c.max_completion_length = 0; }},
      {"temperature", [](RlConfig& c) { c.temperature = 0; }},
      {"temperature", [&](RlConfig& c) { c.temperature = nan; }},
      {"num_iterations", [](RlConfig& c) { c.num_iterations = 0; }},
      {"mini_batches", [](RlConfig& c) { c.mini_batches = c.num_prompts + 1; }},
      {"mini_batches", [](RlConfig& c) { c.mini_batches = 0; }},
      {"must not be negative", [](RlConfig& c) { c.ref_sync_steps = -1; }},
      {"must not be negative", [](RlConfig& c) { c.save_steps = -1; }},
      {"must not be negative", [](RlConfig& c) { c.save_total_limit = -1; }},
      {"must not be negative", [](RlConfig& c) { c.log_completions_steps = -1; }},
      {"slots", [](RlConfig& c) { c.slots = 0; }},
      {"reward weights", [&](RlConfig& c) { c.reward_accuracy = nan; }},
      {"reward weights", [&](RlConfig& c) { c.reward_language = inf; }},
      {"learning_rate", [](RlConfig& c) { c.optimizer.learning_rate = 0; }},
      {"learning_rate", [&](RlConfig& c) { c.optimizer.learning_rate = nan; }},
      {"grad_shards", [](RlConfig& c) { c.optimizer.grad_shards = 0; }},
  };
  for (const Case& each : cases) {
    RlConfig c;
    each.set(c);
    const Status status = ValidateRlConfig(c, "recipe.toml: stage 'zero'");
    ASSERT_FALSE(status.ok()) << each.named;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused) << each.named;
    EXPECT_EQ(status.error().message.find("recipe.toml: stage 'zero': "), 0u) << status.error().message;
    EXPECT_NE(status.error().message.find(each.named), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
