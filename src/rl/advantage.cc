#include "rl/advantage.h"

#include <cmath>
#include <cstddef>

namespace r1 {

namespace {
constexpr double kStdEpsilon = 1e-4;
}

GroupAdvantage ComputeGroupAdvantage(std::span<const double> reward, const std::vector<bool>& gradable,
                                     bool divide_by_std) {
  GroupAdvantage g;
  g.advantage.assign(reward.size(), 0.0);
  const auto counted = [&](size_t i) { return (gradable.empty() || gradable[i]) && std::isfinite(reward[i]); };
  double n = 0, sum = 0;
  bool equal = true;
  double first = 0;
  for (size_t i = 0; i < reward.size(); ++i) {
    if (!counted(i)) continue;
    if (n == 0) first = reward[i];
    equal = equal && reward[i] == first;
    ++n;
    sum += reward[i];
  }
  if (n == 0) return g;
  g.mean = sum / n;
  if (n < 2 || equal) return g;
  double squares = 0;
  for (size_t i = 0; i < reward.size(); ++i) {
    if (counted(i)) squares += (reward[i] - g.mean) * (reward[i] - g.mean);
  }
  g.std = std::sqrt(squares / (n - 1));
  g.zero_std = false;
  for (size_t i = 0; i < reward.size(); ++i) {
    if (counted(i)) g.advantage[i] = (reward[i] - g.mean) / (divide_by_std ? g.std + kStdEpsilon : 1.0);
  }
  return g;
}

}  // namespace r1
