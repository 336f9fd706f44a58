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

TEST(LeaveOneOut, HandComputed) {
  // Of 1, 0.5, 0: the others' means are 0.25, 0.5, 0.75.
  const GroupAdvantage g = ComputeLeaveOneOut(std::vector<double>{1, 0.5, 0}, {});
  EXPECT_NEAR(g.advantage[0], 0.75, 1e-12);
  EXPECT_NEAR(g.advantage[1], 0.0, 1e-12);
  EXPECT_NEAR(g.advantage[2], -0.75, 1e-12);
  const GroupAdvantage some = ComputeLeaveOneOut(std::vector<double>{1, 99, 0}, {true, false, true});
  EXPECT_EQ(some.advantage, (std::vector<double>{1, 0, -1}));
  EXPECT_EQ(ComputeLeaveOneOut(std::vector<double>{0.1, 0.1, 0.1}, {}).advantage, (std::vector<double>{0, 0, 0}));
  Rng rng(7, Stream::kTest);
  std::vector<double> reward(9);
  for (double& r : reward) r = rng.Normal();
  const GroupAdvantage many = ComputeLeaveOneOut(reward, {});
  for (size_t i = 0; i < reward.size(); ++i) {
    double others = 0;
    for (size_t j = 0; j < reward.size(); ++j) others += j == i ? 0 : reward[j] / 8;
    ASSERT_NEAR(many.advantage[i], reward[i] - others, 1e-12);
  }
}

TEST(Gae, HandComputed) {
  // gamma 0.9, lambda 0.5, V = 0.5, 0.4, 0.8, rewards 0, 0.1, 1:
  // delta_2 = 1 - 0.8 = 0.2; delta_1 = 0.1 + 0.72 - 0.4 = 0.42; delta_0 = 0.36 - 0.5 = -0.14;
  // A_2 = 0.2; A_1 = 0.42 + 0.45 x 0.2 = 0.51; A_0 = -0.14 + 0.45 x 0.51 = 0.0895.
  const std::vector<double> a =
      ComputeGae(std::vector<double>{0, 0.1, 1}, std::vector<double>{0.5, 0.4, 0.8}, 0.9, 0.5);
  EXPECT_NEAR(a[2], 0.2, 1e-12);
  EXPECT_NEAR(a[1], 0.51, 1e-12);
  EXPECT_NEAR(a[0], 0.0895, 1e-12);
  // gamma = lambda = 1 and only a reward at the end: A_t = r - V_t.
  const std::vector<double> value = {0.3, -0.2, 0.9};
  const std::vector<double> end = ComputeGae(std::vector<double>{0, 0, 2}, value, 1, 1);
  for (size_t t = 0; t < 3; ++t) EXPECT_NEAR(end[t], 2 - value[t], 1e-12);
  // Without values and with lambda 1: discounted returns.
  const std::vector<double> returns = ComputeGae(std::vector<double>{1, 2, 4}, {}, 0.5, 1);
  EXPECT_EQ(returns, (std::vector<double>{3, 4, 4}));
  // lambda 0: one step ahead only.
  const std::vector<double> step = ComputeGae(std::vector<double>{0, 0, 2}, value, 1, 0);
  EXPECT_NEAR(step[0], -0.2 - 0.3, 1e-12);
  EXPECT_TRUE(ComputeGae({}, {}, 1, 1).empty());
}

TEST(Whiten, HandComputed) {
  std::vector<double> x = {1, 2, 3};  // mean 2, variance 1
  Whiten(x);
  EXPECT_NEAR(x[0], -1, 1e-7);
  EXPECT_NEAR(x[1], 0, 1e-12);
  EXPECT_NEAR(x[2], 1, 1e-7);
  std::vector<double> equal(7, 0.1), one = {5};
  Whiten(equal);
  Whiten(one);
  for (const double value : equal) EXPECT_EQ(value, 0.0);
  EXPECT_EQ(one[0], 0.0);
  std::vector<double> broken = {1, kNaN, 3};
  Whiten(broken);
  EXPECT_TRUE(std::isnan(broken[1])) << "the step's report must see it";
}

}  // namespace
}  // namespace r1
