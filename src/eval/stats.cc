#include "eval/stats.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/check.h"
#include "base/rng.h"

namespace r1 {

Estimate MeanOverProblems(const std::vector<double>& values) {
  Estimate estimate;
  estimate.problems = static_cast<int64_t>(values.size());
  if (values.empty()) return estimate;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double v : values) sum += v;
  estimate.value = sum / count;
  if (values.size() < 2) return estimate;
  double squares = 0;
  for (const double v : values) squares += (v - estimate.value) * (v - estimate.value);
  estimate.standard_error = std::sqrt(squares / (count - 1) / count);
  return estimate;
}

Estimate PassAt1(const std::vector<ProblemSamples>& problems) { return PassAtK(problems, 1); }

double PassAtK(int64_t n, int64_t c, int64_t k) {
  R1_CHECK(0 <= c && c <= n && 1 <= k && k <= n, "PassAtK: wanted 0 <= c <= n and 1 <= k <= n");
  // C(n-c, k) / C(n, k) as a product of k factors, each a share of wrong samples left.
  double none = 1;
  for (int64_t i = 0; i < k; ++i) {
    if (n - c - i <= 0) return 1;
    none *= static_cast<double>(n - c - i) / static_cast<double>(n - i);
  }
  return 1 - none;
}

Estimate PassAtK(const std::vector<ProblemSamples>& problems, int64_t k) {
  std::vector<double> values;
  for (const ProblemSamples& samples : problems) {
    const auto n = static_cast<int64_t>(samples.size());
    if (n < k) continue;
    const auto c = std::count_if(samples.begin(), samples.end(), [](const SampleResult& s) { return s.correct; });
    values.push_back(k == 1 ? static_cast<double>(c) / static_cast<double>(n) : PassAtK(n, c, k));
  }
  return MeanOverProblems(values);
}

int64_t MajorityVote(const ProblemSamples& samples, int64_t begin, int64_t end) {
  struct Votes {
    int64_t first;
    int64_t count;
  };
  std::unordered_map<std::string, Votes> votes;
  for (int64_t i = begin; i < end; ++i) {
    const std::string& key = samples[static_cast<size_t>(i)].vote_key;
    if (!key.empty()) ++votes.try_emplace(key, Votes{i, 0}).first->second.count;
  }
  int64_t winner = -1;
  int64_t most = 0;
  for (const auto& [key, vote] : votes) {
    if (vote.count < most || (vote.count == most && vote.first > winner)) continue;
    winner = vote.first;
    most = vote.count;
  }
  return winner;
}

Estimate ConsAtK(const std::vector<ProblemSamples>& problems, int64_t k) {
  R1_CHECK(k >= 1, "ConsAtK: k must be at least 1");
  std::vector<double> values;
  for (const ProblemSamples& samples : problems) {
    const int64_t groups = static_cast<int64_t>(samples.size()) / k;
    if (groups == 0) continue;
    int64_t right = 0;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t winner = MajorityVote(samples, g * k, (g + 1) * k);
      right += winner >= 0 && samples[static_cast<size_t>(winner)].correct;
    }
    values.push_back(static_cast<double>(right) / static_cast<double>(groups));
  }
  return MeanOverProblems(values);
}

Interval WilsonInterval(int64_t right, int64_t trials, double z) {
  R1_CHECK(0 <= right && right <= trials, "WilsonInterval: wanted 0 <= right <= trials");
  if (trials == 0) return {};
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(right) / n;
  const double scale = 1 + z * z / n;
  const double centre = (p + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {right == 0 ? 0 : centre - half, right == trials ? 1 : centre + half};
}

Interval BootstrapInterval(const std::vector<double>& values, uint64_t seed, int rounds, double coverage) {
  R1_CHECK(rounds >= 1 && coverage > 0 && coverage < 1, "BootstrapInterval: wanted rounds >= 1 and 0 < coverage < 1");
  if (values.empty()) return {};
  std::vector<double> means(static_cast<size_t>(rounds));
  for (size_t r = 0; r < means.size(); ++r) {
    Rng rng(seed, Stream::kEval, r);
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[rng.Below(values.size())];
    means[r] = sum / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  const auto quantile = [&](double q) {  // linear between order statistics
    const double at = q * static_cast<double>(means.size() - 1);
    const auto low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, means.size() - 1);
    return means[low] + (at - static_cast<double>(low)) * (means[high] - means[low]);
  };
  return {quantile((1 - coverage) / 2), quantile((1 + coverage) / 2)};
}

}  // namespace r1
