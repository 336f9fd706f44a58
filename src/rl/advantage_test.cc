#include "rl/advantage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace r1 {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

GroupAdvantage Of(const std::vector<double>& reward, const std::vector<bool>& gradable = {}, bool divide = true) {
  return ComputeGroupAdvantage(reward, gradable, divide);
}

TEST(GroupAdvantage, HandComputed) {
  // Mean 0.25; squares 0.5625 + 3 x 0.0625 = 0.75; divided by 3: 0.25; root 0.5.
  const GroupAdvantage g = Of({1, 0, 0, 0});
  EXPECT_DOUBLE_EQ(g.mean, 0.25);
  EXPECT_DOUBLE_EQ(g.std, 0.5);
  EXPECT_FALSE(g.zero_std);
  EXPECT_NEAR(g.advantage[0], 0.75 / 0.5001, 1e-12);
  for (size_t i = 1; i < 4; ++i) EXPECT_NEAR(g.advantage[i], -0.25 / 0.5001, 1e-12);
}

TEST(GroupAdvantage, WithoutTheDeviation) {
  const GroupAdvantage g = Of({1.2, 0.2, 0, 0.2}, {}, false);
  EXPECT_NEAR(g.mean, 0.4, 1e-12);
  EXPECT_NEAR(g.advantage[0], 0.8, 1e-12);
  EXPECT_NEAR(g.advantage[1], -0.2, 1e-12);
  EXPECT_NEAR(g.advantage[2], -0.4, 1e-12);
  EXPECT_GT(g.std, 0) << "still reported";
}

TEST(GroupAdvantage, EqualRewardsGiveExactlyNothing) {
  // 0.1 x 3 and such do not divide back to 0.1: a mean-based test would leave noise that the
  // division by 1e-4 makes loud.
  for (const double reward : {0.0, 0.1, 1.2, -0.3, 1e-300, 1e30}) {
    for (size_t n = 1; n <= 9; ++n) {
      for (const bool divide : {true, false}) {
        const GroupAdvantage g = Of(std::vector<double>(n, reward), {}, divide);
        EXPECT_TRUE(g.zero_std);
        EXPECT_EQ(g.std, 0.0);
        for (const double a : g.advantage) ASSERT_EQ(a, 0.0) << reward << " x " << n;
      }
    }
  }
}

TEST(GroupAdvantage, UngradableAndBrokenAreLeftOut) {
  const GroupAdvantage g = Of({1, 99, 0, kNaN, 0, kInf}, {true, false, true, true, true, true});
  EXPECT_DOUBLE_EQ(g.mean, 1.0 / 3) << "of 1, 0, 0";
  const double std = std::sqrt((4.0 / 9 + 2.0 / 9) / 2);
  EXPECT_NEAR(g.std, std, 1e-12);
  EXPECT_NEAR(g.advantage[0], 2.0 / 3 / (std + 1e-4), 1e-12);
  EXPECT_NEAR(g.advantage[2], -1.0 / 3 / (std + 1e-4), 1e-12);
  for (const size_t i : {1u, 3u, 5u}) EXPECT_EQ(g.advantage[i], 0.0) << "not counted as 0, not pushed either way";
  // The same as the group of the three alone.
  const GroupAdvantage alone = Of({1, 0, 0});
  EXPECT_EQ(g.advantage[0], alone.advantage[0]);
  EXPECT_EQ(g.advantage[4], alone.advantage[2]);
}

TEST(GroupAdvantage, OneOrNoneLeftHasNoAdvantage) {
  for (const auto& g : {Of({1, 0, 0}, {true, false, false}), Of({1}), Of({kNaN, 5, kNaN}), Of({0, 0}, {false, false}),
                        Of({kNaN, kNaN}), Of({})}) {
    EXPECT_TRUE(g.zero_std);
    for (const double a : g.advantage) EXPECT_EQ(a, 0.0);
    EXPECT_TRUE(std::isfinite(g.mean));
  }
  EXPECT_EQ(Of({1, 0, 0}, {true, false, false}).mean, 1.0);
}

TEST(GroupAdvantage, SumsToNothingAndIgnoresShiftAndScale) {
  Rng rng(2, Stream::kTest);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> reward(2 + rng.Below(15)), moved;
    for (double& r : reward) r = rng.Uniform();
    for (const double r : reward) moved.push_back(3 + 1000 * r);
    const GroupAdvantage a = Of(reward), b = Of(moved);
    double sum = 0, squares = 0;
    for (const double x : a.advantage) sum += x, squares += x * x;
    ASSERT_NEAR(sum, 0, 1e-9);
    const double shrink = a.std / (a.std + 1e-4);
    ASSERT_NEAR(squares / static_cast<double>(reward.size() - 1), shrink * shrink, 1e-9)
        << "unit deviation but for the epsilon";
    for (size_t i = 0; i < reward.size(); ++i) ASSERT_NEAR(b.advantage[i], a.advantage[i] / shrink, 1e-3);
  }
}

TEST(GroupAdvantage, HugeRewardsStayFinite) {
  for (const double size : {1e30, -1e30, 1e200}) {
    for (const double a : Of({size, 0, 0, size / 2}).advantage) ASSERT_TRUE(std::isfinite(a)) << size;
  }
}

}  // namespace
}  // namespace r1
