// Advantages: what a reply, or a token, did better than expected. r: rewards of a group, n of them gradable.
//   group          A_i = (r_i - mean) / (std + 1e-4)           GRPO (DeepSeekMath; training facts 1.1 and 1.3)
//   leave-one-out  A_i = r_i - mean of the others              RLOO (Ahmadian et al. 2024)
//                      = n / (n - 1) (r_i - mean)
//   greedy         A_i = r_i - r(greedy reply)                 ReMax (Li et al. 2023); a subtraction, no function here
//   GAE            delta_t = r_t + gamma V_{t+1} - V_t         PPO (Schulman et al. 2015; training facts 2)
//                  A_t = delta_t + gamma lambda A_{t+1},  R_t = A_t + V_t
//                  V after the last token is 0. With V = 0 and lambda = 1, A_t is the discounted return: REINFORCE++.
//   whitening      A_t = (x_t - mean) / sqrt(var + 1e-8)       over all tokens of a rollout (PPO, REINFORCE++)
// Standard deviations and variances divide by n - 1. Replies that cannot be graded are left out of mean and deviation
// and get 0. A group of one has no advantage. Equal values give exactly 0.
#pragma once

#include <span>
#include <vector>

namespace r1 {

struct Moments {
  double count = 0, mean = 0, std = 0;
  bool equal = true;  // all values the same, or fewer than two: std is 0
};
// counted may be empty (all are). Values that are not finite are not counted.
Moments MomentsOf(std::span<const double> value, const std::vector<bool>& counted);

struct GroupAdvantage {
  std::vector<double> advantage;
  double mean = 0, std = 0;
  bool zero_std = true;  // nothing to learn from this group
};
// gradable may be empty (all are). divide_by_std false: A_i = r_i - mean (Dr. GRPO).
GroupAdvantage ComputeGroupAdvantage(std::span<const double> reward, const std::vector<bool>& gradable,
                                     bool divide_by_std);
GroupAdvantage ComputeLeaveOneOut(std::span<const double> reward, const std::vector<bool>& gradable);
// A divided by a deviation of rewards, as group advantages are; A of equal rewards stays 0.
double ScaledByStd(double advantage, double std);

// Advantages of the tokens of one reply. reward_T and value_T as long as the reply; value_T may be empty (zeros).
std::vector<double> ComputeGae(std::span<const double> reward_T, std::span<const double> value_T, double gamma,
                               double lambda);
// Whitens the values in place. Not finite ones make the result not finite, which the step's report shows.
void Whiten(std::span<double> value);

}  // namespace r1
