// Measured values with their uncertainty, over the seeds of one recipe where there are several.
//   one run       value, one standard error: the evaluation's METRIC_stderr; for a mean over problems of something in
//                 [0, 1] without one, its upper bound sqrt(p(1 - p) / problems) with p = (problems · value + 1) /
//                 (problems + 2)
//   n >= 2 seeds  mean; the larger of (standard deviation between seeds) / sqrt(n) and sqrt(sum of squared errors) / n
// A difference of two stages is taken seed by seed; within a run the two errors are added as if independent, which is
// not too small as both see the same problems. "Significant" means |value| >= 2 errors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recipe/report_data.h"

namespace r1 {

using RunGroup = std::vector<const RunData*>;  // runs of one recipe under different seeds; never empty

struct Estimate {
  double value = kMissing;
  double error = kMissing;  // one standard error; kMissing: not known
  double low = kMissing, high = kMissing;
  int runs = 0;
  bool known() const { return runs > 0; }
  bool has_error() const { return error == error; }
};

// Runs with one recipe name and preset and with seeds that differ are one group; all others stand alone. In order.
std::vector<RunGroup> GroupBySeeds(const std::vector<RunData>& runs);
std::string GroupTitle(const RunGroup& group);

Estimate OverSeeds(const std::vector<Estimate>& each);
Estimate EvalEstimate(const StageEval& eval, std::string_view metric);
Estimate MetricOf(const RunGroup& group, std::string_view eval, std::string_view metric);
// to minus from.
Estimate Difference(const Estimate& from, const Estimate& to);
Estimate ChangeOf(const RunGroup& group, std::string_view from, std::string_view to, std::string_view metric);

// Mean over the runs of a number of a stage of the pipeline; kMissing if none has it.
double MeanStage(const RunGroup& group, std::string_view stage, double PipelineStage::*member);

bool Significant(const Estimate& change);  // false without an error

enum class Direction { kUp, kDown, kEqual };
enum class Verdict { kFollows, kDiffers, kNoise };
// Does a change go the way that was expected? Without an error its sign decides (and kEqual is kNoise). kEqual follows
// if the change is not significant and two errors are at most `margin`.
Verdict Judge(const Estimate& change, Direction expected, double margin);
const char* VerdictText(Verdict verdict);  // "follows", "does not follow", "within noise"

std::string SignedText(double value, double error,
                       int decimals);  // "−1.0 ± 0.3"; an error that is not known is left out
// HTML. Shares: "77.1 % ± 0.9"; points: "+3.2 ± 1.1"; an error that is not known is left out.
std::string ShareHtml(const Estimate& share);
std::string AmountHtml(const Estimate& amount, int decimals = 1);
std::string PointsHtml(const Estimate& change);
// Text for sentences: "+3.2 ± 1.1 points (not significant)".
std::string PointsText(const Estimate& change);

}  // namespace r1
