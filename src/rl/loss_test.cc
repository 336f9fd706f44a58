// The token loss against cases worked out by hand, and its derivative against differences of the
// loss itself.
#include "rl/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace r1 {
namespace {

constexpr double kTight = 1e-9;

LossConfig Config(double epsilon, double epsilon_high, double beta) {
  LossConfig c;
  c.epsilon = epsilon;
  c.epsilon_high = epsilon_high;
  c.beta = beta;
  return c;
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

TEST(GrpoTokenLoss, HandComputed) {
  for (const HandCase& c : kHandCases) {
    const TokenLoss t = GrpoTokenLoss(c.logp, c.old_logp, 0.0, c.advantage, Config(c.epsilon, c.epsilon_high, 0));
    EXPECT_NEAR(t.loss, c.loss, kTight) << c.what;
    EXPECT_NEAR(t.dlogp, c.dlogp, kTight) << c.what;
    EXPECT_EQ(t.clipped_low, c.low) << c.what;
    EXPECT_EQ(t.clipped_high, c.high) << c.what;
    EXPECT_EQ(t.kl, 0.0) << c.what << ": no reference, no KL";
  }
}

TEST(GrpoTokenLoss, KlToTheReference) {
  // k3 = exp(ref - logp) - (ref - logp) - 1; derivative 1 - exp(ref - logp).
  const LossConfig config = Config(0.2, 0, 0.1);
  const TokenLoss below = GrpoTokenLoss(-1.0, -1.0, -1.5, 0.0, config);  // the reference gives less
  EXPECT_NEAR(below.kl, 0.1065306597, kTight);
  EXPECT_NEAR(below.loss, 0.01065306597, kTight);
  EXPECT_NEAR(below.dlogp, 0.1 * 0.3934693403, kTight) << "descent lowers a probability above the reference's";
  const TokenLoss above = GrpoTokenLoss(-1.5, -1.5, -1.0, 0.0, config);  // the reference gives more
  EXPECT_NEAR(above.kl, 0.1487212707, kTight);
  EXPECT_NEAR(above.dlogp, -0.1 * 0.6487212707, kTight);
  const TokenLoss equal = GrpoTokenLoss(-1.0, -1.0, -1.0, 1.0, config);
  EXPECT_EQ(equal.kl, 0.0);
  EXPECT_NEAR(equal.dlogp, -1.0, kTight) << "the policy term alone";
  const TokenLoss both = GrpoTokenLoss(-0.5, -1.0, -1.0, 2.0, config);  // the clip stops the policy term, not the KL
  EXPECT_TRUE(both.clipped_high);
  EXPECT_NEAR(both.loss, -2.4 + 0.1 * 0.1065306597, kTight);
  EXPECT_NEAR(both.dlogp, 0.1 * 0.3934693403, kTight);
  EXPECT_NEAR(GrpoTokenLoss(-1.0, -1.0, -7.0, 1.0, Config(0.2, 0, 0)).loss, -1.0, kTight)
      << "beta 0 ignores the reference";
}

TEST(GrpoTokenLoss, DerivativeIsThatOfTheLoss) {
  Rng rng(1, Stream::kTest);
  int checked = 0, clipped = 0, bounded = 0;
  for (int i = 0; i < 4000; ++i) {
    const LossConfig config = Config(0.05 + 0.4 * rng.Uniform(), rng.Chance(0.5) ? 0.0 : 0.05 + rng.Uniform(),
                                     rng.Chance(0.3) ? 0.0 : rng.Uniform());
    const double old_logp = -6 * rng.Uniform();
    const double spread = i % 10 == 0 ? 60.0 : 1.5;  // a tenth of the cases beyond the bound of +-20
    const double logp = old_logp + spread * (rng.Uniform() - 0.5), ref = logp + spread * (rng.Uniform() - 0.5);
    const double advantage = 4 * (rng.Uniform() - 0.5);
    const double ratio = std::exp(logp - old_logp),
                 high = config.epsilon_high > 0 ? config.epsilon_high : config.epsilon;
    constexpr double kStep = 1e-6;
    const auto near = [&](double x, double kink) { return std::abs(x - kink) < 1e-4; };
    if (near(ratio, 1 + high) || near(ratio, 1 - config.epsilon) || near(std::abs(logp - old_logp), 20) ||
        near(std::abs(ref - logp), 20))
      continue;
    const auto loss = [&](double x) { return GrpoTokenLoss(x, old_logp, ref, advantage, config).loss; };
    const TokenLoss t = GrpoTokenLoss(logp, old_logp, ref, advantage, config);
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

TEST(GrpoTokenLoss, ExtremeRatiosStayFinite) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const LossConfig config = Config(0.2, 0, 0.04);
  for (const double logp : {0.0, -1.0, -1e3, -1e30}) {
    for (const double old_logp : {0.0, -1.0, -1e3, -1e30, -kInf}) {
      for (const double ref : {0.0, -1e3, -1e30, -kInf}) {
        for (const double advantage : {3.0, 0.0, -3.0, 1e6, -1e6}) {
          const TokenLoss t = GrpoTokenLoss(logp, old_logp, ref, advantage, config);
          ASSERT_TRUE(std::isfinite(t.loss) && std::isfinite(t.dlogp) && std::isfinite(t.kl))
              << logp << " " << old_logp << " " << ref << " " << advantage;
          ASSERT_GE(t.kl, 0.0);
        }
      }
    }
  }
  // Beyond the bound exp is constant: the loss is exp(20)'s, and nothing pulls.
  const TokenLoss far = GrpoTokenLoss(0.0, -100.0, 0.0, -1.0, Config(0.2, 0, 0));
  EXPECT_NEAR(far.loss, std::exp(20.0), 1e-3);
  EXPECT_EQ(far.dlogp, 0.0);
}

TEST(TokenWeight, HandComputed) {
  // Two replies of 3 and 5 tokens, limit 10.
  LossConfig config;
  config.loss_type = "dapo";
  EXPECT_DOUBLE_EQ(TokenWeight(config, 3, 2, 8, 10), 1.0 / 8);
  EXPECT_DOUBLE_EQ(TokenWeight(config, 5, 2, 8, 10), 1.0 / 8);
  config.loss_type = "grpo";
  EXPECT_DOUBLE_EQ(TokenWeight(config, 3, 2, 8, 10), 1.0 / 6);
  EXPECT_DOUBLE_EQ(TokenWeight(config, 5, 2, 8, 10), 1.0 / 10);
  config.loss_type = "dr_grpo";
  EXPECT_DOUBLE_EQ(TokenWeight(config, 3, 2, 8, 10), 1.0 / 20);
  EXPECT_DOUBLE_EQ(TokenWeight(config, 5, 2, 8, 10), 1.0 / 20);
}

}  // namespace
}  // namespace r1
