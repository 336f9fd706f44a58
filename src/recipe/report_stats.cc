#include "recipe/report_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "recipe/report_html.h"

namespace r1 {
namespace {

// Means over all problems of something between 0 and 1: there the bound of the header holds.
constexpr std::string_view kShares[] = {"pass@1", "format",   "truncated",  "reflection",
                                        "mixed",  "language", "think_share"};

std::string WithError(const std::string& value, double error, int decimals) {
  if (std::isnan(error)) return value;
  return value + fmt::format(" <span class=\"se\">± {:.{}f}</span>", error, decimals);
}

}  // namespace

std::vector<RunGroup> GroupBySeeds(const std::vector<RunData>& runs) {
  std::vector<RunGroup> groups;
  const auto alike = [](const RunData& a, const RunData& b) {
    return a.recipe_name == b.recipe_name && a.preset == b.preset;
  };
  std::set<const RunData*> done;
  for (const RunData& run : runs) {
    if (done.count(&run) > 0) continue;
    RunGroup group;
    std::set<int64_t> seeds;
    bool distinct = true;
    for (const RunData& other : runs) {
      if (!alike(run, other)) continue;
      group.push_back(&other);
      distinct = distinct && other.seed >= 0 && seeds.insert(other.seed).second;
    }
    if (!distinct) group = {&run};
    done.insert(group.begin(), group.end());
    groups.push_back(std::move(group));
  }
  return groups;
}

std::string GroupTitle(const RunGroup& group) {
  if (group.size() == 1) return group[0]->name;
  return fmt::format("{} ({} seeds)", group[0]->recipe_name, group.size());
}

Estimate OverSeeds(const std::vector<Estimate>& each) {
  Estimate out;
  double sum = 0, squares = 0;
  bool errors = true;
  for (const Estimate& one : each) {
    if (std::isnan(one.value)) continue;
    sum += one.value;
    errors = errors && one.has_error();
    squares += one.has_error() ? one.error * one.error : 0;
    out.low = out.runs == 0 ? one.value : std::min(out.low, one.value);
    out.high = out.runs == 0 ? one.value : std::max(out.high, one.value);
    ++out.runs;
  }
  if (out.runs == 0) return out;
  const double n = out.runs;
  out.value = sum / n;
  if (errors) out.error = std::sqrt(squares) / n;
  if (out.runs == 1) return out;
  double spread = 0;
  for (const Estimate& one : each) {
    if (!std::isnan(one.value)) spread += (one.value - out.value) * (one.value - out.value);
  }
  const double between = std::sqrt(spread / (n - 1) / n);
  out.error = errors ? std::max(out.error, between) : between;
  return out;
}

Estimate EvalEstimate(const StageEval& eval, std::string_view metric) {
  Estimate out;
  out.value = out.low = out.high = eval.Get(metric);
  if (std::isnan(out.value)) return out;
  out.runs = 1;
  out.error = eval.Get(std::string(metric) + "_stderr");
  const double problems = eval.Get("problems");
  if (std::isnan(out.error) && problems >= 1 &&
      std::find(std::begin(kShares), std::end(kShares), metric) != std::end(kShares)) {
    const double p = (problems * out.value + 1) / (problems + 2);
    out.error = std::sqrt(p * (1 - p) / problems);
  }
  return out;
}

Estimate MetricOf(const RunGroup& group, std::string_view eval, std::string_view metric) {
  std::vector<Estimate> each;
  for (const RunData* run : group) {
    if (const StageEval* found = run->FindEval(eval)) each.push_back(EvalEstimate(*found, metric));
  }
  return OverSeeds(each);
}

Estimate Difference(const Estimate& from, const Estimate& to) {
  Estimate out;
  if (!from.known() || !to.known()) return out;
  out.value = out.low = out.high = to.value - from.value;
  out.error = std::hypot(from.error, to.error);  // NaN if one is not known
  out.runs = 1;
  return out;
}

Estimate ChangeOf(const RunGroup& group, std::string_view from, std::string_view to, std::string_view metric) {
  std::vector<Estimate> each;
  for (const RunData* run : group) {
    const StageEval* before = run->FindEval(from);
    const StageEval* after = run->FindEval(to);
    if (before == nullptr || after == nullptr) continue;
    each.push_back(Difference(EvalEstimate(*before, metric), EvalEstimate(*after, metric)));
  }
  return OverSeeds(each);
}

double MeanStage(const RunGroup& group, std::string_view stage, double PipelineStage::*member) {
  double sum = 0, count = 0;
  for (const RunData* run : group) {
    const PipelineStage* found = run->FindStage(stage);
    if (found == nullptr || std::isnan(found->*member)) continue;
    sum += found->*member;
    ++count;
  }
  return count == 0 ? kMissing : sum / count;
}

bool Significant(const Estimate& change) { return change.has_error() && std::abs(change.value) >= 2 * change.error; }

Verdict Judge(const Estimate& change, Direction expected, double margin) {
  if (expected == Direction::kEqual) {
    if (Significant(change)) return Verdict::kDiffers;
    return change.has_error() && 2 * change.error <= margin ? Verdict::kFollows : Verdict::kNoise;
  }
  if (change.has_error() ? !Significant(change) : change.value == 0) return Verdict::kNoise;
  return (change.value > 0) == (expected == Direction::kUp) ? Verdict::kFollows : Verdict::kDiffers;
}

const char* VerdictText(Verdict verdict) {
  if (verdict == Verdict::kFollows) return "follows";
  return verdict == Verdict::kDiffers ? "does not follow" : "within noise";
}

std::string SignedText(double value, double error, int decimals) {
  std::string text = fmt::format("{}{:.{}f}", value < 0 ? "−" : "+", std::abs(value), decimals);
  if (!std::isnan(error)) text += fmt::format(" ± {:.{}f}", error, decimals);
  return text;
}

std::string ShareHtml(const Estimate& share) {
  if (!share.known()) return "–";
  return WithError(PercentText(share.value), 100 * share.error, 1);
}

std::string AmountHtml(const Estimate& amount, int decimals) {
  if (!amount.known()) return "–";
  return WithError(NumberText(amount.value, decimals), amount.error, decimals);
}

std::string PointsHtml(const Estimate& change) {
  if (!change.known()) return "–";
  return WithError(SignedText(100 * change.value, kMissing, 1), 100 * change.error, 1);
}

std::string PointsText(const Estimate& change) {
  if (!change.known()) return "–";
  std::string text = SignedText(100 * change.value, 100 * change.error, 1) + " points";
  if (change.has_error() && !Significant(change)) text += " (not significant)";
  return text;
}

}  // namespace r1
