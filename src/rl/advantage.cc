#include "rl/advantage.h"

#include <cmath>
#include <cstddef>

namespace r1 {

namespace {
constexpr double kStdEpsilon = 1e-4;
constexpr double kVarianceEpsilon = 1e-8;
}  // namespace

Moments MomentsOf(std::span<const double> value, const std::vector<bool>& counted) {
  Moments m;
  const auto counts = [&](size_t i) { return (counted.empty() || counted[i]) && std::isfinite(value[i]); };
  double sum = 0, first = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!counts(i)) continue;
    if (m.count == 0) first = value[i];
    m.equal = m.equal && value[i] == first;
    ++m.count;
    sum += value[i];
  }
  if (m.count == 0) return m;
  m.mean = sum / m.count;
  if (m.count < 2 || m.equal) {
    m.equal = true;
    return m;
  }
  double squares = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (counts(i)) squares += (value[i] - m.mean) * (value[i] - m.mean);
  }
  m.std = std::sqrt(squares / (m.count - 1));
  return m;
}

double ScaledByStd(double advantage, double std) { return advantage / (std + kStdEpsilon); }

namespace {

// factor(m) x (r_i - mean), or nothing.
template <class F>
GroupAdvantage FromMean(std::span<const double> reward, const std::vector<bool>& gradable, F scale) {
  GroupAdvantage g;
  g.advantage.assign(reward.size(), 0.0);
  const Moments m = MomentsOf(reward, gradable);
  g.mean = m.mean;
  g.std = m.std;
  g.zero_std = m.equal;
  if (m.equal) return g;
  for (size_t i = 0; i < reward.size(); ++i) {
    if ((gradable.empty() || gradable[i]) && std::isfinite(reward[i])) g.advantage[i] = scale(reward[i] - m.mean, m);
  }
  return g;
}

}  // namespace

GroupAdvantage ComputeGroupAdvantage(std::span<const double> reward, const std::vector<bool>& gradable,
                                     bool divide_by_std) {
  return FromMean(reward, gradable,
                  [&](double above, const Moments& m) { return divide_by_std ? ScaledByStd(above, m.std) : above; });
}

GroupAdvantage ComputeLeaveOneOut(std::span<const double> reward, const std::vector<bool>& gradable) {
  return FromMean(reward, gradable, [](double above, const Moments& m) { return m.count / (m.count - 1) * above; });
}

std::vector<double> ComputeGae(std::span<const double> reward_T, std::span<const double> value_T, double gamma,
                               double lambda) {
  std::vector<double> advantage(reward_T.size());
  double next_value = 0, next_advantage = 0;
  for (size_t t = reward_T.size(); t-- > 0;) {
    const double value = value_T.empty() ? 0.0 : value_T[t];
    const double delta = reward_T[t] + gamma * next_value - value;
    next_advantage = advantage[t] = delta + gamma * lambda * next_advantage;
    next_value = value;
  }
  return advantage;
}

void Whiten(std::span<double> value) {
  const Moments m = MomentsOf(value, {});
  for (double& x : value) {
    if (std::isfinite(x)) x = m.equal ? 0.0 : (x - m.mean) / std::sqrt(m.std * m.std + kVarianceEpsilon);
  }
}

}  // namespace r1
