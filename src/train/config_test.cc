// The learning-rate schedule at its corners, and the optimizer settings that are refused.
#include "train/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace r1 {
namespace {

TEST(LearningRate, WarmUpThenCosine) {
  OptimizerConfig c;
  c.learning_rate = 2.0;
  c.min_lr_ratio = 0.1;
  c.warmup_steps = 4;
  EXPECT_EQ(LearningRateAt(c, 0, 104), 0.5);  // the first step already moves
  EXPECT_EQ(LearningRateAt(c, 1, 104), 1.0);
  EXPECT_EQ(LearningRateAt(c, 3, 104), 2.0);
  EXPECT_EQ(LearningRateAt(c, 4, 104), 2.0);
  EXPECT_NEAR(LearningRateAt(c, 54, 104), 0.2 + 0.5 * 1.8, 1e-12);  // half way: the mean of peak and floor
  EXPECT_NEAR(LearningRateAt(c, 29, 104), 0.2 + 1.8 * 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(LearningRateAt(c, 104, 104), 0.2, 1e-12);
  EXPECT_NEAR(LearningRateAt(c, 5000, 104), 0.2, 1e-12);  // past the end it stays at the floor
  // Whichever of steps and other progress is further on.
  EXPECT_EQ(LearningRateAt(c, 10, 104, 0.5), LearningRateAt(c, 54, 104));
  EXPECT_EQ(LearningRateAt(c, 54, 104, 0.3), LearningRateAt(c, 54, 104));
  EXPECT_NEAR(LearningRateAt(c, 10, 104, 1.7), 0.2, 1e-12);
  EXPECT_EQ(LearningRateAt(c, 1, 104, 0.5), 1.0) << "warm-up is by steps";
  for (int64_t step = 4; step < 104; ++step) EXPECT_GT(LearningRateAt(c, step, 104), LearningRateAt(c, step + 1, 104));
}

TEST(LearningRate, ConstantAndDegenerateSchedules) {
  OptimizerConfig c;
  c.learning_rate = 3e-4;
  c.lr_scheduler_type = "constant";
  c.warmup_steps = 0;
  EXPECT_EQ(LearningRateAt(c, 0, 10), 3e-4);
  EXPECT_EQ(LearningRateAt(c, 9, 10), 3e-4);
  c.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(LearningRateAt(c, 0, 10), 3e-5);
  EXPECT_EQ(LearningRateAt(c, 10, 10), 3e-4);
  c.lr_scheduler_type = "cosine";
  c.warmup_steps = 50;  // longer than the run: never a division by zero, never above the peak
  for (int64_t step = 0; step < 60; ++step) {
    EXPECT_GT(LearningRateAt(c, step, 10), 0);
    EXPECT_LE(LearningRateAt(c, step, 10), 3e-4);
  }
  c.warmup_steps = 0;
  c.min_lr_ratio = 0;
  EXPECT_NEAR(LearningRateAt(c, 1, 1), 0, 1e-18);
}

TEST(OptimizerConfig, RefusedSettingsNameTheKey) {
  EXPECT_TRUE(ValidateOptimizerConfig({}, "x").ok());
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const std::pair<const char*, std::function<void(OptimizerConfig&)>> bad[] = {
      {"learning_rate", [](OptimizerConfig& c) { c.learning_rate = 0; }},
      {"learning_rate", [=](OptimizerConfig& c) { c.learning_rate = nan; }},
      {"learning_rate", [=](OptimizerConfig& c) { c.learning_rate = inf; }},
      {"lr_scheduler_type", [](OptimizerConfig& c) { c.lr_scheduler_type = "linear"; }},
      {"min_lr_ratio", [](OptimizerConfig& c) { c.min_lr_ratio = 1.5; }},
      {"min_lr_ratio", [=](OptimizerConfig& c) { c.min_lr_ratio = nan; }},
      {"warmup_steps", [](OptimizerConfig& c) { c.warmup_steps = -1; }},
      {"adam_beta1", [](OptimizerConfig& c) { c.adam_beta1 = 1; }},
      {"adam_beta2", [](OptimizerConfig& c) { c.adam_beta2 = -0.1; }},
      {"adam_epsilon", [](OptimizerConfig& c) { c.adam_epsilon = 0; }},
      {"weight_decay", [=](OptimizerConfig& c) { c.weight_decay = inf; }},
      {"max_grad_norm", [](OptimizerConfig& c) { c.max_grad_norm = -1; }},
      {"router_bias_update", [=](OptimizerConfig& c) { c.router_bias_update = nan; }},
      {"grad_shards", [](OptimizerConfig& c) { c.grad_shards = 0; }},
      {"grad_shards", [](OptimizerConfig& c) { c.grad_shards = 65; }},
      {"micro_tokens", [](OptimizerConfig& c) { c.micro_tokens = 31; }},
      {"micro_tokens", [](OptimizerConfig& c) { c.micro_tokens = int64_t{1} << 40; }}};
  for (const auto& [key, change] : bad) {
    OptimizerConfig c;
    change(c);
    const Status status = ValidateOptimizerConfig(c, "file.toml");
    ASSERT_FALSE(status.ok()) << key;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(key), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("file.toml"), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
