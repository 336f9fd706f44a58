// Language mixing of every evaluated stage as bars, and what the language reward costs: dev2, trained with it, against
// dev2_nolang, trained from the same weights without it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr const char* kWith = "dev2";
constexpr const char* kWithout = "dev2_nolang";

// One bar of a share with its error as a whisker.
std::string Bar(const std::string& label, const Estimate& share) {
  const double value = 100 * std::clamp(share.value, 0.0, 1.0);
  std::string whisker;
  if (share.has_error()) {
    const double low = std::max(0.0, value - 100 * share.error), high = std::min(100.0, value + 100 * share.error);
    whisker = fmt::format("<b style=\"left:{:.2f}%;width:{:.2f}%\"></b>", low, high - low);
  }
  return "<div class=\"bar\"><span class=\"what\">" + EscapeHtml(label) + "</span><span class=\"track\">" +
         fmt::format("<i style=\"width:{:.2f}%\"></i>", value) + whisker + "</span><span class=\"num\">" +
         ShareHtml(share) + "</span></div>";
}

// The main line, with the stage without the reward after the one with it.
std::vector<std::string> Stages(const RunGroup& group) {
  std::vector<std::string> names = MainEvals(group);
  const bool known =
      std::any_of(group.begin(), group.end(), [](const RunData* run) { return run->FindEval(kWithout) != nullptr; });
  const auto with = std::find(names.begin(), names.end(), kWith);
  if (known) names.insert(with == names.end() ? with : with + 1, kWithout);
  return names;
}

std::string MixingBars(const RunGroup& group) {
  std::string bars;
  int count = 0;
  for (const std::string& name : Stages(group)) {
    const Estimate mixed = MetricOf(group, name, "mixed");
    if (!mixed.known()) continue;
    bars += Bar(StageTitle(name), mixed);
    ++count;
  }
  if (count < 3) return "";  // before and after stand in the table of results
  return "<h3>Replies whose thinking mixes two languages</h3><div class=\"bars\">" + bars + "</div>" +
         "<p class=\"dim\">Bar: share of replies; line: one standard error to each side (at most √(p(1−p)/problems) "
         "where the "
         "evaluation gives none).</p>";
}

struct Measure {
  const char* metric;
  const char* label;
  bool percent;
};
constexpr Measure kMeasures[] = {{"pass@1", "pass@1", true},
                                 {"code@1", "code@1", true},
                                 {"mixed", "Mixed languages", true},
                                 {"language", "Language consistency", true},
                                 {"mean_tokens", "Reply length, tokens", false},
                                 {"reflection", "Reflection", true}};

std::string RewardCost(const RunGroup& group) {
  const Estimate accuracy = ChangeOf(group, kWithout, kWith, "pass@1");
  if (!accuracy.known()) return "";
  std::string rows;
  for (const Measure& m : kMeasures) {
    const Estimate without = MetricOf(group, kWithout, m.metric), with = MetricOf(group, kWith, m.metric);
    const Estimate change = ChangeOf(group, kWithout, kWith, m.metric);
    if (!change.known()) continue;
    rows += std::string("<tr><th>") + m.label + "</th><td>" + (m.percent ? ShareHtml(without) : AmountHtml(without)) +
            "</td><td>" + (m.percent ? ShareHtml(with) : AmountHtml(with)) + "</td><td class=\"change\">" +
            (m.percent ? PointsHtml(change) : SignedText(change.value, change.error, 1)) + "</td><td>" +
            (!change.has_error()   ? "no error known"
             : Significant(change) ? "significant"
                                   : "not significant") +
            "</td></tr>";
  }
  std::string said;
  if (!accuracy.has_error()) {
    said = "The evaluations give no standard error for it.";
  } else if (!Significant(accuracy)) {
    said = "That is not significant: it is less than two standard errors.";
  } else {
    said = accuracy.value < 0 ? "That is a significant cost." : "That is a significant gain.";
  }
  const PipelineStage* with = group[0]->FindStage(kWith);
  const PipelineStage* without = group[0]->FindStage(kWithout);
  const bool same = with != nullptr && without != nullptr && with->model == without->model;
  return std::string("<h3>What the language reward costs</h3><p>") +
         (same ? "Both stages start from the same weights. " : "") +
         "With the reward for the prompt's language, pass@1 changes by " + PointsHtml(accuracy) + " points. " + said +
         "</p><div class=\"scroll\"><table class=\"results\"><thead><tr><th>measure</th><th>without the "
         "reward</th><th>with "
         "it</th><th>difference, points</th><th>from two standard errors on</th></tr></thead><tbody>" +
         rows +
         "</tbody></table></div><p class=\"dim\">The paper (DeepSeek-R1, language ablation on a 7B model): without the "
         "reward "
         "consistency falls with the steps, with it it stays; mathematics equal, code slightly worse. It gives a "
         "figure, no "
         "numbers.</p>";
}

std::string GroupLanguage(const RunGroup& group) { return MixingBars(group) + RewardCost(group); }

}  // namespace

std::string LanguageSection(const std::vector<RunGroup>& groups) {
  return SectionOf("language", "Language", groups, GroupLanguage);
}

}  // namespace r1
