// The next token: the inverse of the cumulative distribution, truncations, padding of the vocabulary, and refused
// settings.
#include "infer/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/rng.h"
#include "base/threads.h"

namespace r1 {
namespace {

const std::vector<float> kLogits = {0.0f, 2.0f, -1.0f, 1.0f, 2.0f};

// Every token that some uniform number gives, with the share of the numbers that give it.
std::vector<double> Shares(const SamplingConfig& config, const std::vector<float>& logits, int64_t limit = 1 << 20) {
  Sampler sampler(config);
  std::vector<double> share(logits.size(), 0.0);
  constexpr int kNumbers = 20000;
  int32_t last = 0;
  for (int i = 0; i < kNumbers; ++i) {
    const float u = (static_cast<float>(i) + 0.5f) / kNumbers;
    const int32_t token =
        sampler.Sample(kernels::Kernels(), logits.data(), static_cast<int64_t>(logits.size()), limit, u);
    EXPECT_GE(token, last) << "tokens ascend with the number";
    last = token;
    share[static_cast<size_t>(token)] += 1.0 / kNumbers;
  }
  return share;
}

std::vector<double> Softmax(const std::vector<float>& logits, double temperature, const std::set<size_t>& kept) {
  std::vector<double> p(logits.size(), 0.0);
  double sum = 0;
  for (size_t i : kept) sum += (p[i] = std::exp(static_cast<double>(logits[i]) / temperature));
  for (double& x : p) x /= sum;
  return p;
}

void ExpectShares(const std::vector<double>& got, const std::vector<double>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 2e-4) << i;
    EXPECT_EQ(got[i] == 0, want[i] == 0) << i;
  }
}

class SamplerTest : public ::testing::Test {
 protected:
  void SetUp() override { SetFloatMode(); }
};

TEST_F(SamplerTest, FollowsTheDistributionAtATemperature) {
  const std::set<size_t> all = {0, 1, 2, 3, 4};
  ExpectShares(Shares({}, kLogits), Softmax(kLogits, 1, all));
  ExpectShares(Shares({.temperature = 0.7}, kLogits), Softmax(kLogits, 0.7, all));
  ExpectShares(Shares({.temperature = 2.5}, kLogits), Softmax(kLogits, 2.5, all));
}

TEST_F(SamplerTest, GreedyTakesTheFirstOfTheLikeliest) {
  Sampler sampler({.temperature = 0});
  for (float u : {0.0f, 0.5f, 0.999f}) EXPECT_EQ(sampler.Sample(kernels::Kernels(), kLogits.data(), 5, 5, u), 1);
  EXPECT_EQ(sampler.Sample(kernels::Kernels(), kLogits.data(), 5, 1, 0.9f), 0);  // the rest is padding
}

TEST_F(SamplerTest, Truncations) {
  // Likeliest first: tokens 1 and 4 (equal), 3, 0, 2 with shares 0.366, 0.366, 0.134, 0.0495, 0.018 (of a sum that is 1
  // after rounding).
  ExpectShares(Shares({.top_k = 1}, kLogits), Softmax(kLogits, 1, {1}));  // of equals the lower id
  ExpectShares(Shares({.top_k = 3}, kLogits), Softmax(kLogits, 1, {1, 3, 4}));
  ExpectShares(Shares({.top_k = 50}, kLogits), Softmax(kLogits, 1, {0, 1, 2, 3, 4}));
  ExpectShares(Shares({.top_p = 0.1}, kLogits), Softmax(kLogits, 1, {1}));
  ExpectShares(Shares({.top_p = 0.5}, kLogits), Softmax(kLogits, 1, {1, 4}));
  ExpectShares(Shares({.top_p = 0.85}, kLogits), Softmax(kLogits, 1, {1, 3, 4}));
  ExpectShares(Shares({.min_p = 0.3}, kLogits),
               Softmax(kLogits, 1, {1, 3, 4}));  // exp(-1) = 0.37 of the likeliest stays
  ExpectShares(Shares({.min_p = 0.4}, kLogits), Softmax(kLogits, 1, {1, 4}));
  ExpectShares(Shares({.temperature = 0.5, .top_k = 4, .min_p = 0.1}, kLogits), Softmax(kLogits, 0.5, {1, 3, 4}));
}

TEST_F(SamplerTest, PaddingIsNeverChosen) {
  std::vector<float> logits = kLogits;
  logits[4] = 50;  // nearly all the probability is on a token that does not exist
  ExpectShares(Shares({}, logits, 4), [&] {
    std::vector<double> want = Softmax({0.0f, 2.0f, -1.0f, 1.0f, 0.0f}, 1, {0, 1, 2, 3});
    return want;
  }());
  ExpectShares(Shares({.top_k = 2}, kLogits, 4), Softmax(kLogits, 1, {1, 3}));
}

TEST_F(SamplerTest, NumberNextToOneGivesATokenThatCanCome) {
  const float u = std::nextafter(1.0f, 0.0f);
  std::vector<float> logits(1000, -80.0f);
  logits[0] = 0;
  logits[999] = -std::numeric_limits<float>::infinity();
  Sampler sampler({});
  const int32_t token = sampler.Sample(kernels::Kernels(), logits.data(), 1000, 1000, u);
  EXPECT_NE(token, 999);
}

TEST_F(SamplerTest, RefusedSettings) {
  EXPECT_TRUE(ValidateSamplingConfig({}, "x").ok());
  EXPECT_TRUE(ValidateSamplingConfig({.temperature = 0, .top_k = 5, .top_p = 0.5, .min_p = 1}, "x").ok());
  const double nan = std::nan("");
  const std::pair<const char*, SamplingConfig> bad[] = {{"temperature", {.temperature = -1}},
                                                        {"temperature", {.temperature = nan}},
                                                        {"temperature", {.temperature = 1e9}},
                                                        {"top_k", {.top_k = -1}},
                                                        {"top_p", {.top_p = 0}},
                                                        {"top_p", {.top_p = 1.5}},
                                                        {"top_p", {.top_p = nan}},
                                                        {"min_p", {.min_p = -0.1}},
                                                        {"min_p", {.min_p = nan}}};
  for (const auto& [name, config] : bad) {
    const Status status = ValidateSamplingConfig(config, "here");
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_NE(status.error().message.find(name), std::string::npos) << status.error().message;
  }
}

}  // namespace
}  // namespace r1
