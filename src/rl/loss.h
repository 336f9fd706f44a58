// The loss of a token and its derivative. Sources: training facts 1.1 to 1.3, 2, 11 and 14; TRL and verl.
//   token ratio     rho_t = exp(logp_t - old_t)
//   sequence ratio  s = exp(mean over the reply of (logp_t - old_t)), the same for every token (GSPO). A token's
//                   derivative is that of GSPO's token variant, s A dlogp_t; summed over a reply whose tokens weigh the
//                   same and have one advantage it is the derivative of the sequence's loss.
//   clipped loss    -min(rho A, clip(rho, 1 - epsilon, 1 + epsilon_high) A) for all but CISPO; derivative -rho A, and 0
//                   if clipped: A > 0 and rho > 1 + epsilon_high, or A < 0 and rho < 1 - epsilon
//   dual clip       A < 0 and rho > delta: loss -delta A, derivative 0 (Ye et al. 2019; TRL delta, verl clip_ratio_c)
//   capped loss     -sg[min(rho, epsilon_high)] A logp, derivative -min(rho, epsilon_high) A; no token is dropped:
//   CISPO KL              d = ref - logp; k1 = -d, k2 = d^2 / 2, k3 = exp(d) - d - 1 (Schulman 2020), with derivatives
//   1, -d
//                   and 1 - exp(d). k1's does not depend on the reference: k1 belongs into the reward.
//   total           weight x policy + beta x KL where the KL is in the loss; weight: importance weight, no gradient
// Log-ratios are held within +-20 before exp, with derivative 0 beyond.
#pragma once

#include <span>
#include <vector>

#include "rl/algorithm.h"

namespace r1 {

struct TokenInput {
  double logp = 0;
  double log_ratio = 0;  // logp - old, or its mean over the reply
  double ref_logp = 0;   // ignored when beta is 0
  double advantage = 0;
  double weight = 1;  // importance weight
};
struct TokenLoss {
  double loss = 0;
  double dlogp = 0;
  double kl = 0;
  bool clipped_low = false, clipped_high = false, clipped_dual = false;
};
TokenLoss PolicyTokenLoss(const TokenInput& in, const LossSettings& settings);

struct KlTerm {
  double value = 0, dlogp = 0;
};
KlTerm EstimateKl(KlEstimator estimator, double logp, double ref_logp);

// Mean of logp - old over a reply.
double SequenceLogRatio(std::span<const float> logp_T, std::span<const float> old_T);

// Weight of a token of a reply in the loss of an update:
//   token mean 1 / batch_tokens; sequence mean 1 / (batch_replies x tokens); constant 1 / (batch_replies x
//   max_completion_length). tokens: of this reply; batch_replies and batch_tokens: of the update.
double TokenWeight(Aggregation aggregation, double tokens, double batch_replies, double batch_tokens,
                   double max_completion_length);

// Truncated importance sampling for replies drawn from mu where the policy was pi_old (training facts 14): ratio
// pi_old / mu of each token, or of the whole reply for sequence kinds (all entries equal).
std::vector<double> ImportanceRatios(ImportanceSampling kind, std::span<const float> old_T,
                                     std::span<const float> mu_T);
// min(ratio, cap); the mask kinds give 0 above the cap.
double ImportanceWeight(ImportanceSampling kind, double cap, double ratio);
bool IsWholeReply(ImportanceSampling kind);

// The value model's loss of a token and its derivative: coef x max((V - R)^2, (V_clip - R)^2), V_clip = V_old + clip(V
// - V_old, +-range); range 0: coef x (V - R)^2.
struct ValueLoss {
  double loss = 0, dvalue = 0;
  bool clipped = false;
};
ValueLoss ValueTokenLoss(double value, double old_value, double target, double coef, double range);

}  // namespace r1
