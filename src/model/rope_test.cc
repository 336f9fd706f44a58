// Rotary frequencies against published figures and the limits of each formula.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace r1 {
namespace {

double Plain(double theta, double i, double d) { return std::pow(theta, -2 * i / d); }

TEST(Rope, DefaultAndLinear) {
  const std::vector<double> plain = RopeFrequencies({}, 10000, 64, 4096);
  const std::vector<double> half = RopeFrequencies({.rope_type = "linear", .factor = 2}, 10000, 64, 4096);
  ASSERT_EQ(plain.size(), 32U);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_DOUBLE_EQ(plain[i], Plain(10000, static_cast<double>(i), 64));
    EXPECT_DOUBLE_EQ(half[i], plain[i] / 2);
  }
  EXPECT_EQ(RopeAttentionFactor({.rope_type = "linear", .factor = 2}), 1);
}

// The published 671B model: pairs up to 10 keep their frequency, from 23 on it is divided by 40, linear between; the
// scale of the scores is 0.1352337788608801.
TEST(Rope, YarnOfDeepSeekV3) {
  ModelConfig c;
  c.qk_nope_head_dim = 128;
  c.qk_rope_head_dim = 64;
  c.rope_scaling = {
      .rope_type = "yarn", .factor = 40, .original_max_position_embeddings = 4096, .mscale = 1, .mscale_all_dim = 1};
  ASSERT_TRUE(ValidateRopeScaling(c.rope_scaling, "x").ok());
  const std::vector<double> f = RopeFrequencies(c.rope_scaling, 10000, 64, 163840);
  for (size_t i = 0; i < f.size(); ++i) {
    const double at = static_cast<double>(i), plain = Plain(10000, at, 64), part = (at - 10) / 13;
    const double want = i <= 10 ? plain : i >= 23 ? plain / 40 : plain * (1 - part) + plain / 40 * part;
    EXPECT_NEAR(f[i] / want, 1, 1e-12) << i;
  }
  EXPECT_EQ(RopeAttentionFactor(c.rope_scaling), 1);
  EXPECT_NEAR(SoftmaxScale(c), 0.1352337788608801, 1e-15);
  c.rope_scaling = {};
  EXPECT_NEAR(SoftmaxScale(c), 0.07216878364870323, 1e-15);
}

TEST(Rope, YarnOfDenseModelsLengthensTheVectors) {
  ModelConfig c;
  c.model_type = "qwen2";
  c.head_dim = 64;
  c.rope_scaling = {.rope_type = "yarn", .factor = 4, .original_max_position_embeddings = 32768};
  EXPECT_NEAR(RopeAttentionFactor(c.rope_scaling), 0.1 * std::log(4.0) + 1, 1e-15);
  EXPECT_EQ(SoftmaxScale(c), 0.125);
  c.rope_scaling.attention_factor = 1.25;
  EXPECT_EQ(RopeAttentionFactor(c.rope_scaling), 1.25);
  // Without the length of pretraining it is the longest sequence.
  c.rope_scaling.original_max_position_embeddings = 0;
  const std::vector<double> of_longest = RopeFrequencies(c.rope_scaling, 1e6, 64, 32768);
  c.rope_scaling.original_max_position_embeddings = 32768;
  EXPECT_EQ(RopeFrequencies(c.rope_scaling, 1e6, 64, 131072), of_longest);
}

// Llama 3.1: wavelengths below 8192 / 4 keep their frequency, above 8192 it is divided by 8.
TEST(Rope, Llama3) {
  const RopeScaling s = {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 8192};
  const std::vector<double> f = RopeFrequencies(s, 500000, 128, 131072);
  int kept = 0, divided = 0, between = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    const double plain = Plain(500000, static_cast<double>(i), 128), wave = 2 * std::numbers::pi / plain;
    if (wave < 2048) {
      EXPECT_EQ(f[i], plain);
      ++kept;
    } else if (wave > 8192) {
      EXPECT_EQ(f[i], plain / 8);
      ++divided;
    } else {
      EXPECT_LT(f[i], plain);
      EXPECT_GT(f[i], plain / 8);
      EXPECT_LT(f[i], f[i - 1]);
      ++between;
    }
  }
  EXPECT_EQ(kept, 29);
  EXPECT_EQ(between, 6);
  EXPECT_EQ(divided, 29);
}

TEST(Rope, ImpossibleScalingsNameTheField) {
  const std::pair<const char*, RopeScaling> bad[] = {
      {"rope_type", {.rope_type = "dynamic"}},
      {"factor", {.rope_type = "linear", .factor = 0}},
      {"factor", {.rope_type = "linear", .factor = -1}},
      {"factor", {.rope_type = "yarn", .factor = std::nan("")}},
      {"original_max_position_embeddings", {.rope_type = "llama3", .factor = 8}},
      {"original_max_position_embeddings", {.rope_type = "yarn", .factor = 8, .original_max_position_embeddings = -4}},
      {"high_freq_factor",
       {.rope_type = "llama3", .factor = 8, .original_max_position_embeddings = 64, .low_freq_factor = 4}},
      {"beta_fast", {.rope_type = "yarn", .factor = 8, .beta_fast = 1}},
      {"mscale", {.rope_type = "yarn", .factor = 8, .mscale = -1}}};
  for (const auto& [field, scaling] : bad) {
    const Status status = ValidateRopeScaling(scaling, "dir/config.json");
    ASSERT_FALSE(status.ok()) << field;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(field), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("dir/config.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace r1
