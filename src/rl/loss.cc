#include "rl/loss.h"

#include <algorithm>
#include <cmath>

namespace r1 {

namespace {

constexpr double kMaxLogRatio = 20.0;
double Bounded(double x) { return std::clamp(x, -kMaxLogRatio, kMaxLogRatio); }
bool InBounds(double x) { return std::abs(x) <= kMaxLogRatio; }

void AddClipped(const TokenInput& in, double ratio, const LossSettings& s, TokenLoss* t) {
  const double a = in.advantage;
  t->clipped_high = a > 0 && ratio > 1 + s.epsilon_high;
  t->clipped_low = a < 0 && ratio < 1 - s.epsilon;
  t->clipped_dual = s.delta > 0 && a < 0 && ratio > s.delta;
  t->loss = -std::min(ratio * a, std::clamp(ratio, 1 - s.epsilon, 1 + s.epsilon_high) * a);
  if (t->clipped_dual) t->loss = -s.delta * a;
  if (!t->clipped_high && !t->clipped_low && !t->clipped_dual && InBounds(in.log_ratio)) t->dlogp = -ratio * a;
}

void AddCapped(const TokenInput& in, double ratio, const LossSettings& s, TokenLoss* t) {
  t->clipped_high = ratio > s.epsilon_high;
  const double weight = std::min(ratio, s.epsilon_high);
  t->loss = -weight * in.advantage * in.logp;
  t->dlogp = -weight * in.advantage;
}

}  // namespace

KlTerm EstimateKl(KlEstimator estimator, double logp, double ref_logp) {
  const double delta = Bounded(ref_logp - logp);
  const bool inside = InBounds(ref_logp - logp);
  switch (estimator) {
    case KlEstimator::kK1:
      return {-delta, inside ? 1.0 : 0.0};
    case KlEstimator::kK2:
      return {0.5 * delta * delta, inside ? -delta : 0.0};
    case KlEstimator::kK3:
      break;
  }
  const double ratio = std::exp(delta);
  return {ratio - delta - 1, inside ? 1 - ratio : 0.0};
}

TokenLoss PolicyTokenLoss(const TokenInput& in, const LossSettings& s) {
  TokenLoss t;
  const double ratio = std::exp(Bounded(in.log_ratio));
  if (s.ratio == RatioKind::kCapped) {
    AddCapped(in, ratio, s, &t);
  } else {
    AddClipped(in, ratio, s, &t);
  }
  t.loss *= in.weight;
  t.dlogp *= in.weight;
  if (s.beta > 0) {
    const KlTerm kl = EstimateKl(s.kl, in.logp, in.ref_logp);
    t.kl = kl.value;
    if (!s.kl_in_reward) {
      t.loss += s.beta * kl.value;
      t.dlogp += s.beta * kl.dlogp;
    }
  }
  return t;
}

double SequenceLogRatio(std::span<const float> logp_T, std::span<const float> old_T) {
  double sum = 0;
  for (size_t t = 0; t < logp_T.size(); ++t) sum += static_cast<double>(logp_T[t]) - static_cast<double>(old_T[t]);
  return logp_T.empty() ? 0.0 : sum / static_cast<double>(logp_T.size());
}

double TokenWeight(Aggregation aggregation, double tokens, double batch_replies, double batch_tokens,
                   double max_completion_length) {
  if (aggregation == Aggregation::kSequenceMean) return 1.0 / (batch_replies * tokens);
  if (aggregation == Aggregation::kConstant) return 1.0 / (batch_replies * max_completion_length);
  return 1.0 / batch_tokens;
}

bool IsWholeReply(ImportanceSampling kind) {
  return kind == ImportanceSampling::kSequence || kind == ImportanceSampling::kSequenceMask;
}

std::vector<double> ImportanceRatios(ImportanceSampling kind, std::span<const float> old_T,
                                     std::span<const float> mu_T) {
  std::vector<double> ratio_T(old_T.size());
  double sum = 0;
  for (size_t t = 0; t < old_T.size(); ++t) {
    const double gap = static_cast<double>(old_T[t]) - static_cast<double>(mu_T[t]);
    ratio_T[t] = std::exp(Bounded(gap));
    sum += gap;
  }
  if (IsWholeReply(kind)) std::fill(ratio_T.begin(), ratio_T.end(), std::exp(Bounded(sum)));
  return ratio_T;
}

double ImportanceWeight(ImportanceSampling kind, double cap, double ratio) {
  if (ratio <= cap) return ratio;
  return kind == ImportanceSampling::kTokenMask || kind == ImportanceSampling::kSequenceMask ? 0.0 : cap;
}

ValueLoss ValueTokenLoss(double value, double old_value, double target, double coef, double range) {
  const double error = value - target;
  if (range <= 0) return {coef * error * error, 2 * coef * error, false};
  const double clipped = old_value + std::clamp(value - old_value, -range, range);
  const double clipped_error = clipped - target;
  if (clipped_error * clipped_error > error * error)
    return {coef * clipped_error * clipped_error, 0.0, true};  // a clipped value has no derivative
  return {coef * error * error, 2 * coef * error, false};
}

}  // namespace r1
