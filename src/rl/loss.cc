#include "rl/loss.h"

#include <algorithm>
#include <cmath>

namespace r1 {

namespace {
constexpr double kMaxLogRatio = 20.0;
double Bounded(double x) { return std::clamp(x, -kMaxLogRatio, kMaxLogRatio); }
}  // namespace

TokenLoss GrpoTokenLoss(double logp, double old_logp, double ref_logp, double advantage, const LossConfig& config) {
  TokenLoss t;
  const double high = config.epsilon_high > 0 ? config.epsilon_high : config.epsilon;
  const double log_ratio = logp - old_logp;
  const double ratio = std::exp(Bounded(log_ratio));
  t.clipped_high = advantage > 0 && ratio > 1 + high;
  t.clipped_low = advantage < 0 && ratio < 1 - config.epsilon;
  t.loss = -std::min(ratio * advantage, std::clamp(ratio, 1 - config.epsilon, 1 + high) * advantage);
  if (!t.clipped_high && !t.clipped_low && std::abs(log_ratio) <= kMaxLogRatio) t.dlogp = -ratio * advantage;
  if (config.beta > 0) {
    const double delta = Bounded(ref_logp - logp);
    t.kl = std::exp(delta) - delta - 1;
    t.loss += config.beta * t.kl;
    if (std::abs(ref_logp - logp) <= kMaxLogRatio) t.dlogp += config.beta * (1 - std::exp(delta));
  }
  return t;
}

double TokenWeight(const LossConfig& config, double tokens, double batch_replies, double batch_tokens,
                   double max_completion_length) {
  if (config.loss_type == "grpo") return 1.0 / (batch_replies * tokens);
  if (config.loss_type == "dr_grpo") return 1.0 / (batch_replies * max_completion_length);
  return 1.0 / batch_tokens;
}

}  // namespace r1
