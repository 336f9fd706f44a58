// Statistics of sampled answers. P problems, n samples each.
//   pass@1   mean over problems of the share of right samples; standard error over problems: sd(p_i) / sqrt(P)
//   pass@k   unbiased, 1 - C(n-c, k) / C(n, k) for c right of n (Chen et al. 2021, arXiv 2107.03374)
//   cons@k   majority vote over k samples by vote key: an empty key never votes, a tie goes to the key seen first, no
//   votes is
//            wrong; for k < n the mean over the floor(n / k) disjoint groups of consecutive samples
// Intervals: Wilson's for one proportion of independent trials, the percentile bootstrap over problems for everything
// else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace r1 {

struct SampleResult {
  bool correct = false;
  std::string vote_key;  // "" never votes
};
using ProblemSamples = std::vector<SampleResult>;  // one problem's samples, in order

struct Estimate {
  double value = 0;
  double standard_error = 0;  // over problems; 0 when there are fewer than two
  int64_t problems = 0;       // that the estimate rests on
};
// Mean of one value a problem with its standard error.
Estimate MeanOverProblems(const std::vector<double>& values);

// Problems without samples are left out.
Estimate PassAt1(const std::vector<ProblemSamples>& problems);
// Of c right in n samples; 0 <= c <= n, 1 <= k <= n.
double PassAtK(int64_t n, int64_t c, int64_t k);
// Problems with fewer than k samples are left out.
Estimate PassAtK(const std::vector<ProblemSamples>& problems, int64_t k);
// The winning index (the first sample with the winning key) among samples [begin, end), or -1 without votes.
int64_t MajorityVote(const ProblemSamples& samples, int64_t begin, int64_t end);
Estimate ConsAtK(const std::vector<ProblemSamples>& problems, int64_t k);

struct Interval {
  double low = 0;
  double high = 1;
};
inline constexpr double kZ95 = 1.959963984540054;  // two-sided 95 %
// For `right` of `trials`; [0, 1] for no trials.
Interval WilsonInterval(int64_t right, int64_t trials, double z = kZ95);
// Percentile bootstrap of the mean of one value a problem: `rounds` resamples, a pure function of the values and the
// seed.
Interval BootstrapInterval(const std::vector<double>& values, uint64_t seed, int rounds = 2000, double coverage = 0.95);

}  // namespace r1
