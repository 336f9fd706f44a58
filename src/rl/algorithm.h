// The algorithms as combinations of parts. One row of a table names for each the advantage estimator (rl/advantage.h),
// the probability ratio and clip and the aggregation (rl/loss.h), and what else it needs. Sources: training facts 1, 2
// and 11; TRL and verl for the defaults.
//   algorithm              advantage                      ratio     loss      scale  clip           KL
//   grpo                   group mean                     token     token     group  0.2            k3, loss
//   dr_grpo                group mean                     token     constant  none   0.2            k3, loss
//   dapo                   group mean                     token     token     group  0.2 / 0.28     k3, loss
//       with dynamic sampling and the soft overlong penalty
//   rloo                   leave-one-out mean             token     token     none   0.2            k1, reward
//   reinforce_pp           returns, whitened over batch   token     token     -      0.2            k1, reward
//   reinforce_pp_baseline  group mean, whitened           token     token     -      0.2            k2, loss
//   remax                  reward of the greedy reply     token     token     none   0.2            k1, reward
//   gspo                   group mean                     sequence  sequence  group  3e-4 / 4e-4    k3, loss
//   cispo                  group mean                     capped    token     group  - / 5          k3, loss
//   ppo                    GAE with a value model         token     token     -      0.2            k1, reward
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "rl/config.h"

namespace r1 {

enum class AdvantageKind { kGroup, kLeaveOneOut, kWhitened, kGroupWhitened, kGreedy, kGae };
enum class RatioKind { kToken, kSequence, kCapped };
enum class Aggregation { kTokenMean, kSequenceMean, kConstant };
enum class RewardScale { kNone, kGroup, kBatch };
enum class KlEstimator { kK1, kK2, kK3 };
enum class ImportanceSampling { kNone, kToken, kSequence, kTokenMask, kSequenceMask };

// Everything the loss and the advantages read, with no "auto" left.
struct LossSettings {
  AdvantageKind advantage = AdvantageKind::kGroup;
  RatioKind ratio = RatioKind::kToken;
  Aggregation aggregation = Aggregation::kTokenMean;
  RewardScale scale = RewardScale::kGroup;
  KlEstimator kl = KlEstimator::kK3;
  bool kl_in_reward = false;
  double epsilon = 0.2, epsilon_high = 0.2;
  double delta = 0;
  double beta = 0;
  double entropy_coef = 0;
  bool mask_truncated = false;
  ImportanceSampling importance = ImportanceSampling::kNone;
  double importance_cap = 2;
  bool dynamic_sampling = false;
  int64_t overlong_buffer = 0;

  bool needs_value() const { return advantage == AdvantageKind::kGae; }
  bool needs_greedy() const { return advantage == AdvantageKind::kGreedy; }
  // Compares the replies of a group, so that a group of one has no advantage.
  bool needs_group() const {
    return advantage == AdvantageKind::kGroup || advantage == AdvantageKind::kLeaveOneOut ||
           advantage == AdvantageKind::kGroupWhitened;
  }
  // Advantages are whitened over the tokens of the rollout.
  bool whitens() const {
    return advantage == AdvantageKind::kWhitened || advantage == AdvantageKind::kGroupWhitened ||
           advantage == AdvantageKind::kGae;
  }
};

std::vector<std::string> AlgorithmNames();
// The settings of config.loss and of the fields beside it that an algorithm decides. Error kRefused names the field.
Result<LossSettings> ResolveLoss(const RlConfig& config, const std::string& where);

}  // namespace r1
