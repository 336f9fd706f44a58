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
  ASSERT_EQ(c.Weights().size(), 2u) << "no language term unless it is asked for";
  RlConfig with = c;
  with.reward_language = 0.5;
  ASSERT_EQ(with.Weights().size(), 3u);
  EXPECT_EQ(with.Weights()[2].name, "language");
  EXPECT_EQ(with.Weights()[2].weight, 0.5);
}

TEST(RlConfig, EveryImpossibleSettingIsRefusedByName) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Case {
    const char* named;
    std::function<void(RlConfig&)> set;
  };
  const Case cases[] = {
      {"algorithm 'ppo'", [](RlConfig& c) { c.loss.algorithm = "ppo"; }},
      {"loss_type 'sum'", [](RlConfig& c) { c.loss.loss_type = "sum"; }},
      {"scale_rewards 'batch'", [](RlConfig& c) { c.loss.scale_rewards = "batch"; }},
      {"epsilon", [](RlConfig& c) { c.loss.epsilon = 0; }},
      {"epsilon", [&](RlConfig& c) { c.loss.epsilon = nan; }},
      {"epsilon_high", [](RlConfig& c) { c.loss.epsilon_high = -0.1; }},
      {"epsilon_high", [&](RlConfig& c) { c.loss.epsilon_high = inf; }},
      {"beta", [](RlConfig& c) { c.loss.beta = -1; }},
      {"beta", [&](RlConfig& c) { c.loss.beta = nan; }},
      {"task 'sudoku'", [](RlConfig& c) { c.task = "sudoku"; }},
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
