// The per-token policy loss of GRPO and its derivative (training facts 1.1, 1.2):
//   ratio = exp(logp - old);  policy = -min(ratio A, clip(ratio, 1 - eps_low, 1 + eps_high) A);  delta = ref - logp; k3
//   = exp(delta) - delta - 1 loss = policy + beta k3;   d loss / d logp = -(ratio A if not clipped, else 0) + beta (1 -
//   exp(delta))
// clipped: A > 0 and ratio > 1 + eps_high, or A < 0 and ratio < 1 - eps_low. Log-ratios are held within +-20 before
// exp.
#pragma once

#include <string>

#include "rl/config.h"

namespace r1 {

struct TokenLoss {
  double loss = 0;
  double dlogp = 0;
  double kl = 0;
  bool clipped_low = false, clipped_high = false;
};
// ref is ignored when beta is 0.
TokenLoss GrpoTokenLoss(double logp, double old_logp, double ref_logp, double advantage, const LossConfig& config);

// Weight of a token of a reply in the loss of an update, by loss_type. tokens: of this reply; batch_replies and
// batch_tokens: of the update.
double TokenWeight(const LossConfig& config, double tokens, double batch_replies, double batch_tokens,
                   double max_completion_length);

}  // namespace r1
