// Group-relative advantages (GRPO, DeepSeekMath; training facts 1.1 and 1.3): A_i = (r_i - mean) / (std + 1e-4), the
// standard deviation with n - 1. Replies that cannot be graded are left out of mean and deviation and get 0. A group of
// one has no advantage.
#pragma once

#include <span>
#include <vector>

namespace r1 {

struct GroupAdvantage {
  std::vector<double> advantage;
  double mean = 0, std = 0;
  bool zero_std = true;  // nothing to learn from this group
};
// gradable may be empty (all are). divide_by_std false: A_i = r_i - mean (Dr. GRPO).
GroupAdvantage ComputeGroupAdvantage(std::span<const double> reward, const std::vector<bool>& gradable,
                                     bool divide_by_std);

}  // namespace r1
