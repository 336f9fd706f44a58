// The token loss against cases worked out by hand, and its derivative against differences of the
// loss itself.
#include "rl/loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace r1 {
namespace {

constexpr double kTight = 1e-9;

LossSettings Config(double epsilon, double epsilon_high, double beta) {
  LossSettings c;
  c.epsilon = epsilon;
  c.epsilon_high = epsilon_high > 0 ? epsilon_high : epsilon;
  c.beta = beta;
  return c;
}
TokenLoss Loss(double logp, double old_logp, double ref_logp, double advantage, const LossSettings& settings,
               double weight = 1) {
  return PolicyTokenLoss({logp, logp - old_logp, ref_logp, advantage, weight}, settings);
}

struct HandCase {
  const char* what;
  double logp, old_logp, advantage;
  double epsilon, epsilon_high;
  double loss, dlogp;
  bool low, high;
};

// exp(0.1) = 1.1051709181, exp(0.5) = 1.6487212707, exp(-0.5) = 0.6065306597.
const HandCase kHandCases[] = {
    {"on policy, good", -1.0, -1.0, 2.0, 0.2, 0, -2.0, -2.0, false, false},
    {"on policy, bad", -3.0, -3.0, -0.5, 0.2, 0, 0.5, 0.5, false, false},
    {"no advantage", -0.5, -1.0, 0.0, 0.2, 0, 0.0, 0.0, false, false},
    {"inside the range", -1.0, -1.1, 2.0, 0.2, 0, -2.2103418362, -2.2103418362, false, false},
    {"good and far up: clipped at 1.2", -0.5, -1.0, 2.0, 0.2, 0, -2.4, 0.0, false, true},
    {"good and far up, wider above: 1.7", -0.5, -1.0, 2.0, 0.2, 0.7, -3.2974425414, -3.2974425414, false, false},
    {"good and far up, a little wider: 1.28", -0.5, -1.0, 2.0, 0.2, 0.28, -2.56, 0.0, false, true},
    {"bad and far up: the minimum keeps the ratio", -0.5, -1.0, -1.0, 0.2, 0, 1.6487212707, 1.6487212707, false, false},
    {"bad and far down: clipped at 0.8", -1.5, -1.0, -1.0, 0.2, 0, 0.8, 0.0, true, false},
    {"bad and far down, wider above changes nothing below", -1.5, -1.0, -1.0, 0.2, 0.7, 0.8, 0.0, true, false},
    {"good and far down: the minimum keeps the ratio", -1.5, -1.0, 1.0, 0.2, 0, -0.6065306597, -0.6065306597, false,
     false},
    {"wide range: not clipped", -1.5, -1.0, -1.0, 0.5, 0, 0.6065306597, 0.6065306597, false, false},
};

TEST(PolicyTokenLoss, HandComputed) {
  for (const HandCase& c : kHandCases) {
    const TokenLoss t = Loss(c.logp, c.old_logp, 0.0, c.advantage, Config(c.epsilon, c.epsilon_high, 0));
    EXPECT_NEAR(t.loss, c.loss, kTight) << c.what;
    EXPECT_NEAR(t.dlogp, c.dlogp, kTight) << c.what;
    EXPECT_EQ(t.clipped_low, c.low) << c.what;
    EXPECT_EQ(t.clipped_high, c.high) << c.what;
    EXPECT_EQ(t.kl, 0.0) << c.what << ": no reference, no KL";
  }
}

TEST(PolicyTokenLoss, KlToTheReference) {
  // k3 = exp(ref - logp) - (ref - logp) - 1; derivative 1 - exp(ref - logp).
  const LossSettings config = Config(0.2, 0, 0.1);
  const TokenLoss below = Loss(-1.0, -1.0, -1.5, 0.0, config);  // the reference gives less
  EXPECT_NEAR(below.kl, 0.1065306597, kTight);
  EXPECT_NEAR(below.loss, 0.01065306597, kTight);
  EXPECT_NEAR(below.dlogp, 0.1 * 0.3934693403, kTight) << "descent lowers a probability above the reference's";
  const TokenLoss above = Loss(-1.5, -1.5, -1.0, 0.0, config);  // the reference gives more
  EXPECT_NEAR(above.kl, 0.1487212707, kTight);
  EXPECT_NEAR(above.dlogp, -0.1 * 0.6487212707, kTight);
  const TokenLoss equal = Loss(-1.0, -1.0, -1.0, 1.0, config);
  EXPECT_EQ(equal.kl, 0.0);
  EXPECT_NEAR(equal.dlogp, -1.0, kTight) << "the policy term alone";
  const TokenLoss both = Loss(-0.5, -1.0, -1.0, 2.0, config);  // the clip stops the policy term, not the KL
  EXPECT_TRUE(both.clipped_high);
  EXPECT_NEAR(both.loss, -2.4 + 0.1 * 0.1065306597, kTight);
  EXPECT_NEAR(both.dlogp, 0.1 * 0.3934693403, kTight);
  EXPECT_NEAR(Loss(-1.0, -1.0, -7.0, 1.0, Config(0.2, 0, 0)).loss, -1.0, kTight) << "beta 0 ignores the reference";
}

TEST(PolicyTokenLoss, DerivativeIsThatOfTheLoss) {
  Rng rng(1, Stream::kTest);
  int checked = 0, clipped = 0, bounded = 0;
  for (int i = 0; i < 4000; ++i) {
    const LossSettings config = Config(0.05 + 0.4 * rng.Uniform(), rng.Chance(0.5) ? 0.0 : 0.05 + rng.Uniform(),
                                       rng.Chance(0.3) ? 0.0 : rng.Uniform());
    const double old_logp = -6 * rng.Uniform();
    const double spread = i % 10 == 0 ? 60.0 : 1.5;  // a tenth of the cases beyond the bound of +-20
    const double logp = old_logp + spread * (rng.Uniform() - 0.5), ref = logp + spread * (rng.Uniform() - 0.5);
    const double advantage = 4 * (rng.Uniform() - 0.5);
    const double ratio = std::exp(logp - old_logp), high = config.epsilon_high;
    constexpr double kStep = 1e-6;
    const auto near = [&](double x, double kink) { return std::abs(x - kink) < 1e-4; };
    if (near(ratio, 1 + high) || near(ratio, 1 - config.epsilon) || near(std::abs(logp - old_logp), 20) ||
        near(std::abs(ref - logp), 20))
      continue;
    const auto loss = [&](double x) { return Loss(x, old_logp, ref, advantage, config).loss; };
    const TokenLoss t = Loss(logp, old_logp, ref, advantage, config);
    const double numeric = (loss(logp + kStep) - loss(logp - kStep)) / (2 * kStep);
    ASSERT_NEAR(t.dlogp, numeric, 1e-6 * (1 + std::abs(t.loss) + std::abs(t.dlogp)))
        << "logp " << logp << " old " << old_logp << " ref " << ref << " advantage " << advantage;
    ++checked;
    clipped += t.clipped_low || t.clipped_high;
    bounded += std::abs(logp - old_logp) > 20 || std::abs(ref - logp) > 20;
  }
  EXPECT_GT(checked, 3900);
  EXPECT_GT(clipped, 300);
  EXPECT_GT(bounded, 50);
}

TEST(PolicyTokenLoss, ExtremeRatiosStayFinite) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const LossSettings config = Config(0.2, 0, 0.04);
  for (const double logp : {0.0, -1.0, -1e3, -1e30}) {
    for (const double old_logp : {0.0, -1.0, -1e3, -1e30, -kInf}) {
      for (const double ref : {0.0, -1e3, -1e30, -kInf}) {
        for (const double advantage : {3.0, 0.0, -3.0, 1e6, -1e6}) {
          const TokenLoss t = Loss(logp, old_logp, ref, advantage, config);
          ASSERT_TRUE(std::isfinite(t.loss) && std::isfinite(t.dlogp) && std::isfinite(t.kl))
              << logp << " " << old_logp << " " << ref << " " << advantage;
          ASSERT_GE(t.kl, 0.0);
        }
      }
    }
  }
  // Beyond the bound exp is constant: the loss is exp(20)'s, and nothing pulls.
  const TokenLoss far = Loss(0.0, -100.0, 0.0, -1.0, Config(0.2, 0, 0));
  EXPECT_NEAR(far.loss, std::exp(20.0), 1e-3);
  EXPECT_EQ(far.dlogp, 0.0);
}

TEST(TokenWeight, HandComputed) {
  // Two replies of 3 and 5 tokens, limit 10.
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kTokenMean, 3, 2, 8, 10), 1.0 / 8);
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kTokenMean, 5, 2, 8, 10), 1.0 / 8);
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kSequenceMean, 3, 2, 8, 10), 1.0 / 6);
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kSequenceMean, 5, 2, 8, 10), 1.0 / 10);
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kConstant, 3, 2, 8, 10), 1.0 / 20);
  EXPECT_DOUBLE_EQ(TokenWeight(Aggregation::kConstant, 5, 2, 8, 10), 1.0 / 20);
}

TEST(PolicyTokenLoss, DualClipBoundsTheLossOfBadReplies) {
  LossSettings s = Config(0.2, 0.2, 0);
  s.delta = 3;
  // exp(1) = 2.718 is below 3, exp(1.5) = 4.482 above.
  const TokenLoss inside = Loss(-1, -2, 0, -2, s);
  EXPECT_NEAR(inside.loss, 2 * 2.7182818285, kTight);
  EXPECT_NEAR(inside.dlogp, 2 * 2.7182818285, kTight);
  EXPECT_FALSE(inside.clipped_dual);
  const TokenLoss beyond = Loss(-1, -2.5, 0, -2, s);
  EXPECT_NEAR(beyond.loss, 6, kTight);
  EXPECT_EQ(beyond.dlogp, 0.0);
  EXPECT_TRUE(beyond.clipped_dual);
  const TokenLoss good = Loss(-1, -2.5, 0, 2, s);  // good replies are clipped at 1.2 as before
  EXPECT_NEAR(good.loss, -2.4, kTight);
  EXPECT_FALSE(good.clipped_dual);
  s.delta = 0;
  EXPECT_NEAR(Loss(-1, -2.5, 0, -2, s).dlogp, 2 * 4.4816890703, kTight);
}

TEST(PolicyTokenLoss, CappedDropsNoToken) {
  LossSettings s = Config(0.2, 5, 0);
  s.ratio = RatioKind::kCapped;
  // exp(1) = 2.718 < 5: -2.718 x 2 x (-0.5); exp(2) = 7.389 > 5: capped, but it still learns.
  const TokenLoss inside = Loss(-0.5, -1.5, 0, 2, s);
  EXPECT_NEAR(inside.loss, 2.7182818285, kTight);
  EXPECT_NEAR(inside.dlogp, -5.4365636569, kTight);
  EXPECT_FALSE(inside.clipped_high);
  const TokenLoss capped = Loss(-0.5, -2.5, 0, 2, s);
  EXPECT_NEAR(capped.loss, 5, kTight);
  EXPECT_NEAR(capped.dlogp, -10, kTight);
  EXPECT_TRUE(capped.clipped_high);
  const TokenLoss small = Loss(-2.5, -0.5, 0, -1, s);  // there is no lower bound
  EXPECT_NEAR(small.dlogp, 0.1353352832, kTight);
  EXPECT_FALSE(small.clipped_low);
}

TEST(PolicyTokenLoss, ImportanceWeightScalesThePolicyTermOnly) {
  const LossSettings s = Config(0.2, 0.2, 0.1);
  const TokenLoss plain = Loss(-1, -1.1, -1.5, 2, s), halved = Loss(-1, -1.1, -1.5, 2, s, 0.5);
  const double kl = 0.1 * 0.1065306597, dkl = 0.1 * 0.3934693403;
  EXPECT_NEAR(plain.loss - kl, -2.2103418362, kTight);
  EXPECT_NEAR(halved.loss - kl, -2.2103418362 / 2, kTight);
  EXPECT_NEAR(halved.dlogp - dkl, -2.2103418362 / 2, kTight);
  EXPECT_EQ(halved.kl, plain.kl);
}

// On the policy that sampled, every kind of ratio gives the policy gradient.
TEST(PolicyTokenLoss, OnPolicyAllKindsAreThePolicyGradient) {
  Rng rng(3, Stream::kTest);
  for (const RatioKind kind : {RatioKind::kToken, RatioKind::kSequence, RatioKind::kCapped}) {
    for (int i = 0; i < 200; ++i) {
      LossSettings s = Config(1e-4 + rng.Uniform(), kind == RatioKind::kCapped ? 1.5 : 1e-4 + rng.Uniform(), 0);
      s.ratio = kind;
      s.delta = kind != RatioKind::kCapped && rng.Chance(0.5) ? 3 : 0;
      const double logp = -5 * rng.Uniform(), advantage = rng.Normal(), weight = 2 * rng.Uniform();
      const TokenLoss t = Loss(logp, logp, 0, advantage, s, weight);
      ASSERT_EQ(t.dlogp, -advantage * weight);
      ASSERT_FALSE(t.clipped_low || t.clipped_high || t.clipped_dual);
    }
  }
}

TEST(EstimateKl, HandComputedAndDerivatives) {
  // d = ref - logp = 0.5: k1 = -0.5, k2 = 0.125, k3 = exp(0.5) - 1.5.
  EXPECT_NEAR(EstimateKl(KlEstimator::kK1, -1.5, -1).value, -0.5, kTight);
  EXPECT_NEAR(EstimateKl(KlEstimator::kK2, -1.5, -1).value, 0.125, kTight);
  EXPECT_NEAR(EstimateKl(KlEstimator::kK3, -1.5, -1).value, 0.1487212707, kTight);
  EXPECT_EQ(EstimateKl(KlEstimator::kK1, -1.5, -1).dlogp, 1.0);
  EXPECT_NEAR(EstimateKl(KlEstimator::kK2, -1.5, -1).dlogp, -0.5, kTight);
  EXPECT_NEAR(EstimateKl(KlEstimator::kK3, -1.5, -1).dlogp, -0.6487212707, kTight);
  Rng rng(4, Stream::kTest);
  for (const KlEstimator kind : {KlEstimator::kK1, KlEstimator::kK2, KlEstimator::kK3}) {
    for (int i = 0; i < 200; ++i) {
      const double logp = -4 * rng.Uniform(), ref = -4 * rng.Uniform(), h = 1e-6;
      const double slope = (EstimateKl(kind, logp + h, ref).value - EstimateKl(kind, logp - h, ref).value) / (2 * h);
      ASSERT_NEAR(EstimateKl(kind, logp, ref).dlogp, slope, 1e-7 * (1 + std::abs(slope)));
    }
    EXPECT_EQ(EstimateKl(kind, -2, -2).value, 0.0);
    EXPECT_EQ(EstimateKl(kind, 0, -50).dlogp, 0.0) << "beyond the bound";
  }
  LossSettings in_reward = Config(0.2, 0.2, 0.5);
  in_reward.kl_in_reward = true;
  const TokenLoss t = Loss(-1.5, -1.5, -1, 2, in_reward);
  EXPECT_NEAR(t.kl, 0.1487212707, kTight) << "still reported";
  EXPECT_EQ(t.dlogp, -2.0);
  EXPECT_EQ(t.loss, -2.0);
}

// GSPO's loss of a reply is one number of all its tokens: -min(s A, clip(s) A) with s = exp(mean of logp - old). Its
// derivative by each token, from differences of that number, is what the token loss with the token's weight gives.
TEST(SequenceRatio, TokenDerivativesAreThoseOfTheReplysLoss) {
  const std::vector<float> one = {-1.0f, -2.0f, -0.5f}, other = {-1.25f, -2.0f, -1.0f};
  EXPECT_DOUBLE_EQ(SequenceLogRatio(one, other), 0.25);
  EXPECT_EQ(SequenceLogRatio(one, one), 0.0);
  LossSettings s = Config(3e-4, 4e-4, 0);
  s.ratio = RatioKind::kSequence;
  Rng rng(5, Stream::kTest);
  int clipped = 0;
  for (int round = 0; round < 300; ++round) {
    const size_t n = 1 + rng.Below(6);
    std::vector<double> logp(n), old_logp(n);
    for (size_t t = 0; t < n; ++t) {
      old_logp[t] = -3 * rng.Uniform();
      logp[t] = old_logp[t] + 2e-3 * (rng.Uniform() - 0.5);
    }
    const double advantage = rng.Normal();
    const auto log_ratio = [&] {
      double sum = 0;
      for (size_t t = 0; t < n; ++t) sum += logp[t] - old_logp[t];
      return sum / static_cast<double>(n);
    };
    const auto reply_loss = [&] {
      const double ratio = std::exp(log_ratio());
      return -std::min(ratio * advantage, std::clamp(ratio, 1 - s.epsilon, 1 + s.epsilon_high) * advantage);
    };
    const double ratio = std::exp(log_ratio());
    if (std::abs(ratio - 1 + s.epsilon) < 1e-5 || std::abs(ratio - 1 - s.epsilon_high) < 1e-5) continue;
    const double replies = 4, weight = TokenWeight(Aggregation::kSequenceMean, static_cast<double>(n), replies, 99, 10);
    double sum = 0;
    for (size_t t = 0; t < n; ++t) {
      const TokenLoss token = PolicyTokenLoss({logp[t], log_ratio(), 0, advantage, 1}, s);
      sum += token.loss * weight;
      clipped += token.clipped_low || token.clipped_high;
      const double h = 1e-6, keep = logp[t];
      logp[t] = keep + h;
      const double up = reply_loss();
      logp[t] = keep - h;
      const double down = reply_loss();
      logp[t] = keep;
      ASSERT_NEAR(token.dlogp * weight, (up - down) / (2 * h) / replies, 1e-7);
    }
    ASSERT_NEAR(sum, reply_loss() / replies, 1e-12);
  }
  EXPECT_GT(clipped, 50);
}

TEST(ImportanceWeights, HandComputed) {
  // log ratios 0.5, 0, -1: ratios 1.6487, 1, 0.3679; their product exp(-0.5) = 0.6065.
  const std::vector<float> old_T = {-1.0f, -2.0f, -3.0f}, mu_T = {-1.5f, -2.0f, -2.0f};
  using enum ImportanceSampling;
  const std::vector<double> token = ImportanceRatios(kToken, old_T, mu_T);
  EXPECT_NEAR(token[0], 1.6487212707, kTight);
  EXPECT_EQ(token[1], 1.0);
  EXPECT_NEAR(token[2], 0.3678794412, kTight);
  for (const double ratio : ImportanceRatios(kSequence, old_T, mu_T)) EXPECT_NEAR(ratio, 0.6065306597, kTight);
  EXPECT_EQ(ImportanceWeight(kToken, 1.5, 1.6), 1.5);
  EXPECT_EQ(ImportanceWeight(kToken, 1.5, 1.4), 1.4);
  EXPECT_EQ(ImportanceWeight(kSequence, 1.5, 9), 1.5);
  EXPECT_EQ(ImportanceWeight(kTokenMask, 1.5, 1.6), 0.0);
  EXPECT_EQ(ImportanceWeight(kTokenMask, 1.5, 1.5), 1.5);
  EXPECT_EQ(ImportanceWeight(kSequenceMask, 1.5, 1.6), 0.0);
  // The same distribution: exactly 1, for every kind.
  for (const ImportanceSampling kind : {kToken, kSequence, kTokenMask, kSequenceMask}) {
    for (const double ratio : ImportanceRatios(kind, old_T, old_T)) EXPECT_EQ(ImportanceWeight(kind, 1, ratio), 1.0);
  }
}

TEST(ValueTokenLoss, HandComputed) {
  // Far from the old value, and better than the clipped one: the clipped error counts, and does not pull.
  const ValueLoss clipped = ValueTokenLoss(0.9, 0.0, 1.0, 0.5, 0.2);
  EXPECT_NEAR(clipped.loss, 0.5 * 0.64, kTight);
  EXPECT_EQ(clipped.dvalue, 0.0);
  EXPECT_TRUE(clipped.clipped);
  const ValueLoss inside = ValueTokenLoss(0.1, 0.0, 1.0, 0.5, 0.2);
  EXPECT_NEAR(inside.loss, 0.5 * 0.81, kTight);
  EXPECT_NEAR(inside.dvalue, -0.9, kTight);
  const ValueLoss away = ValueTokenLoss(-0.9, 0.0, 1.0, 0.5, 0.2);  // worse than the clipped one: pulled back
  EXPECT_NEAR(away.loss, 0.5 * 3.61, kTight);
  EXPECT_NEAR(away.dvalue, -1.9, kTight);
  EXPECT_FALSE(away.clipped);
  EXPECT_NEAR(ValueTokenLoss(0.9, 0.0, 1.0, 0.5, 0).dvalue, -0.1, kTight) << "range 0: no clip";
  Rng rng(6, Stream::kTest);
  for (int i = 0; i < 500; ++i) {
    const double v = rng.Normal(), old_value = rng.Normal(), target = rng.Normal(), h = 1e-6;
    const auto at = [&](double x) { return ValueTokenLoss(x, old_value, target, 0.7, 0.3); };
    const double plain = (v - target) * (v - target),
                 held = std::pow(old_value + std::clamp(v - old_value, -0.3, 0.3) - target, 2);
    if (std::abs(std::abs(v - old_value) - 0.3) < 1e-4 || (plain != held && std::abs(plain - held) < 1e-4)) continue;
    ASSERT_NEAR(at(v).dvalue, (at(v + h).loss - at(v - h).loss) / (2 * h), 1e-6);
  }
}

}  // namespace
}  // namespace r1
