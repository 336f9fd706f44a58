// What turns graded replies into something to learn from: log-probabilities of the reference and of the policy before
// the updates, importance weights, and advantages.
#pragma once

#include "rl/algorithm.h"
#include "rl/batch.h"
#include "train/trainer.h"

namespace r1 {

// Whether a reply is in the loss: gradable, and not a masked truncated one.
bool IsInLoss(const Rollout& r, const LossSettings& settings);
// Those of the kept groups, in order.
std::vector<Rollout*> RepliesInLoss(RolloutBatch& batch, const LossSettings& settings);
// The tokens of a reply with its prompt, read at the reply's.
TrainSequence ReplySequence(const Rollout& r);

// Fills ref_logp_T (reference may be null; the trainer's model itself stands for that model without its adapter) and,
// with importance sampling, old_logp_T and weight_T of the kept groups' gradable replies.
struct ImportanceStats {
  double mean = 1, max = 1;  // of pi_old / mu before the cap, over tokens or, for sequence kinds, over replies
  double kl = 0;             // KL(mu || pi_old): mean over tokens of log mu - log pi_old
};
ImportanceStats ScoreReplies(Trainer& trainer, const Model* reference, const PassOptions& options,
                             const LossSettings& settings, RolloutBatch* batch);

// Sets advantage and token_advantage_T, and target_T where there is value_T. Formulas: rl/advantage.h. KL in the reward
// is taken from each token's reward where advantages are per token (ppo, reinforce_pp, reinforce_pp_baseline), else its
// sum from the reply's reward. It is that of the policy before the updates.
void ComputeAdvantages(const LossSettings& settings, double gamma, double lambda, RolloutBatch* batch);

}  // namespace r1
