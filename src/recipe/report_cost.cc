// What thinking costs: tokens and accuracy with thinking against the same model's direct answers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

struct Cost {
  std::string name;
  Estimate right, tokens, direct_right, direct_tokens;
};

// Tokens that are spent for one right answer.
std::string PerRight(const Estimate& tokens, const Estimate& right) {
  if (!tokens.known() || !right.known() || right.value <= 0) return "–";
  return NumberText(tokens.value / right.value, 0);
}

std::vector<Cost> CostsOf(const RunGroup& group) {
  std::vector<std::string> names = MainEvals(group);
  for (const Student& student : StudentsOf(group)) {
    for (const std::string& name : {student.base, student.rl, student.distilled}) names.push_back(name);
  }
  std::vector<Cost> costs;
  for (const std::string& name : names) {
    Cost cost{name, MetricOf(group, name, "pass@1"), MetricOf(group, name, "mean_tokens"),
              MetricOf(group, name, "direct_pass@1"), MetricOf(group, name, "direct_mean_tokens")};
    if (cost.right.known() && cost.direct_right.known()) costs.push_back(std::move(cost));
  }
  return costs;
}

// From the direct answer to the answer with thinking, a line a model.
std::string CostChart(const std::vector<Cost>& costs) {
  Chart chart;
  chart.label = "Accuracy over tokens per reply, without and with thinking";
  chart.x_label = "tokens per reply";
  chart.y_label = "right answers, %";
  chart.unit = AxisUnit::kPercent;
  chart.y_max = 1;
  for (size_t i = 0; i < costs.size(); ++i) {
    const Cost& c = costs[i];
    if (!c.tokens.known() || !c.direct_tokens.known()) continue;
    Curve curve{.label = StageTitle(c.name),
                .kind = CurveKind::kPoints,
                .color = static_cast<int>(i % kCurveColors),
                .dash = static_cast<int>(i % 4),
                .x = {c.direct_tokens.value, c.tokens.value},
                .y = {c.direct_right.value, c.right.value}};
    chart.curves.push_back(std::move(curve));
  }
  if (chart.curves.empty()) return "";
  chart.width = 400, chart.height = 290;
  const std::string narrow = ChartSvg(chart);
  chart.width = 760, chart.height = 330;
  return "<figure class=\"alone\"><div class=\"narrow\">" + narrow + "</div><div class=\"wide\">" + ChartSvg(chart) +
         "</div><figcaption>A line a model: the left end answers at once, the right end thinks "
         "first.</figcaption></figure>";
}

std::string GroupCost(const RunGroup& group) {
  const std::vector<Cost> costs = CostsOf(group);
  if (costs.empty()) return "";
  std::string rows;
  for (const Cost& c : costs) {
    const Estimate gain = Difference(c.direct_right, c.right);
    rows += "<tr><th>" + EscapeHtml(StageTitle(c.name)) + "</th><td>" + ShareHtml(c.direct_right) + "</td><td>" +
            AmountHtml(c.direct_tokens) + "</td><td>" + PerRight(c.direct_tokens, c.direct_right) + "</td><td>" +
            ShareHtml(c.right) + "</td><td>" + AmountHtml(c.tokens) + "</td><td>" + PerRight(c.tokens, c.right) +
            "</td><td class=\"change\">" + PointsHtml(gain) + "</td></tr>";
  }
  return "<div class=\"scroll\"><table class=\"results\"><thead><tr><td></td><th colspan=\"3\">answers at once</th><th "
         "colspan=\"3\">thinks first</th><td></td></tr><tr><th>model</th><th>pass@1</th><th>tokens</th><th>per right "
         "answer</th><th>pass@1</th><th>tokens</th><th>per right answer</th><th>gain, points</th></tr></thead><tbody>" +
         rows + "</tbody></table></div>" + CostChart(costs) +
         "<p class=\"dim\">The paper (366 contest problems of 2024): R1 61.8 % with 8,793 thinking tokens on average, "
         "GPT-4o "
         "24.7 % with 711.</p>";
}

}  // namespace

std::string CostSection(const std::vector<RunGroup>& groups) {
  return SectionOf("cost", "What thinking costs", groups, GroupCost);
}

}  // namespace r1
