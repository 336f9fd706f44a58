// Algorithms of RL from one base, and bases (size, share of reasoning in the corpus) under one algorithm: a table each
// and curves, over the seeds of a recipe where there are several.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>

#include "recipe/report_curves.h"
#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr double kTail = 0.1;  // "final" KL and entropy: mean over this share of the last steps

// The evaluation of a stage's weights, over seeds.
Estimate ResultOf(const RunGroup& group, const std::string& stage, std::string_view metric) {
  std::vector<Estimate> each;
  for (const RunData* run : group) {
    if (const StageEval* eval = run->EvalOfModel(stage)) each.push_back(EvalEstimate(*eval, metric));
  }
  return OverSeeds(each);
}

// The base's evaluation: that of the weights, or "base" if the recipe calls it so.
Estimate BaseResultOf(const RunGroup& group, const std::string& rl, std::string_view metric) {
  std::vector<Estimate> each;
  for (const RunData* run : group) {
    if (const StageEval* eval = StartEval(*run, rl)) each.push_back(EvalEstimate(*eval, metric));
  }
  return OverSeeds(each);
}

// Mean of a metric over the last tenth of a stage's steps, over seeds.
Estimate TailOf(const RunGroup& group, const std::string& stage, std::string_view metric) {
  std::vector<Estimate> each;
  for (const RunData* run : group) {
    const StageLog* log = run->FindLog(stage);
    const std::vector<double>* column = log == nullptr ? nullptr : log->Find(metric);
    if (column == nullptr || column->empty()) continue;
    const size_t tail = std::max<size_t>(1, static_cast<size_t>(kTail * static_cast<double>(column->size())));
    double sum = 0, count = 0;
    for (size_t i = column->size() - tail; i < column->size(); ++i) {
      if (std::isnan((*column)[i])) continue;
      sum += (*column)[i];
      ++count;
    }
    if (count > 0) each.push_back({sum / count, kMissing, sum / count, sum / count, 1});
  }
  return OverSeeds(each);
}

// A stage's metrics averaged over the seeds, for the steps that every seed has.
StageLog MeanLog(const RunGroup& group, const std::string& stage) {
  StageLog mean;
  mean.name = stage;
  std::vector<const StageLog*> logs;
  for (const RunData* run : group) {
    if (const StageLog* log = run->FindLog(stage)) logs.push_back(log);
  }
  if (logs.empty()) return mean;
  if (logs.size() == 1) return *logs[0];
  size_t rows = logs[0]->step.size();
  for (const StageLog* log : logs) rows = std::min(rows, log->step.size());
  mean.step.assign(logs[0]->step.begin(), logs[0]->step.begin() + static_cast<std::ptrdiff_t>(rows));
  for (const auto& [name, column] : logs[0]->columns) {
    std::vector<double> out(rows, 0);
    for (const StageLog* log : logs) {
      const std::vector<double>* other = log->Find(name);
      for (size_t i = 0; i < rows; ++i) {
        out[i] += other == nullptr || log->step[i] != mean.step[i] ? kMissing
                                                                   : (*other)[i] / static_cast<double>(logs.size());
      }
    }
    mean.columns[name] = std::move(out);
  }
  return mean;
}

bool AllHave(const std::vector<Series>& series, std::string_view metric) {
  return std::all_of(series.begin(), series.end(), [&](const Series& s) { return s.log->Find(metric) != nullptr; });
}

Panel AccuracyPanel(bool held_out, const char* title) {
  return {.title = title,
          .caption = held_out ? "pass@1 on held-out problems, measured during the stage."
                              : "Share of right answers among the step's sampled replies.",
          .y_label = "right answers, %",
          .unit = AxisUnit::kPercent,
          .metrics = {held_out ? CurveMetric{"eval/pass@1", "held out", CurveKind::kPoints}
                               : CurveMetric{"rewards/accuracy/mean", "training batch"}}};
}

// Without a reference policy (beta 0) the runs log a divergence of 0, which is no measurement.
bool MeasuresKl(const RunGroup& group, const Comparison& comparison) {
  for (const std::string& stage : comparison.stages) {
    for (const RunData* run : group) {
      const StageLog* log = run->FindLog(stage);
      const std::vector<double>* kl = log == nullptr ? nullptr : log->Find("kl");
      if (kl != nullptr && std::any_of(kl->begin(), kl->end(), [](double value) { return value != 0; })) return true;
    }
  }
  return false;
}

std::string ComparisonHtml(const RunGroup& group, const Comparison& comparison) {
  const bool kl = MeasuresKl(group, comparison);
  const Estimate base = BaseResultOf(group, comparison.stages.front(), "pass@1");
  std::vector<std::pair<double, std::string>> order;  // best first
  for (const std::string& stage : comparison.stages) {
    const Estimate right = ResultOf(group, stage, "pass@1");
    order.emplace_back(right.known() ? -right.value : 1, stage);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string rows = "<tr class=\"led\"><th>" + EscapeHtml(StageTitle(comparison.base)) +
                     "<small>all start from it</small></th><td>" + ShareHtml(base) +
                     "</td><td></td><td></td><td></td>" + (kl ? "<td></td>" : "") + "<td></td></tr>";
  for (const auto& [key, name] : order) {
    const PipelineStage* stage = group[0]->FindStage(name);
    const Estimate right = ResultOf(group, name, "pass@1");
    const std::string small = stage == nullptr || stage->algorithm == name ? "" : stage->algorithm;
    rows += "<tr><th>" + EscapeHtml(name) + (small.empty() ? "" : "<small>" + EscapeHtml(small) + "</small>") +
            "</th><td>" + ShareHtml(right) +
            (right.runs > 1 ? fmt::format("<small>{:.1f} – {:.1f}</small>", 100 * right.low, 100 * right.high) : "") +
            "</td><td>" + AmountHtml(ResultOf(group, name, "mean_tokens")) + "</td><td>" +
            CompactText(MeanStage(group, name, &PipelineStage::sampled_tokens)) + "</td><td>" +
            SpelledDuration(MeanStage(group, name, &PipelineStage::seconds)) + "</td><td>" +
            (kl ? AmountHtml(TailOf(group, name, "kl"), 3) + "</td><td>" : "") +
            AmountHtml(TailOf(group, name, "entropy"), 3) + "</td></tr>";
  }
  std::deque<StageLog> logs;
  std::vector<Series> series;
  for (const std::string& name : comparison.stages) {
    StageLog log = MeanLog(group, name);
    if (log.step.empty()) continue;
    logs.push_back(std::move(log));
    series.push_back({group[0], &logs.back(), name});
  }
  const Panel accuracy = AccuracyPanel(!series.empty() && AllHave(series, "eval/pass@1"), "Accuracy of all algorithms");
  std::string figures = FigureHtml(series, accuracy, "RL step", FigureSize::kHero);
  for (const std::string_view title : {"Reply length", "Reflection", "Entropy", "KL divergence"}) {
    if (title == "KL divergence" && !kl) continue;
    Panel panel = RlPanel(title);
    panel.metrics.resize(1);
    figures += FigureHtml(series, panel, "RL step", FigureSize::kSmall);
  }
  const std::string seeds =
      group.size() > 1
          ? fmt::format(" Values are means over {} seeds ± one standard error, with the range; curves are means.",
                        group.size())
          : " One seed: another seed can differ by more than the standard errors, which cover the choice of "
            "problems and samples only.";
  return "<div class=\"scroll\"><table class=\"results\"><thead><tr><th>algorithm</th><th>pass@1</th><th>tokens per "
         "reply</th><th>sampled tokens</th><th>time</th>" +
         std::string(kl ? "<th>KL at the end</th>" : "") + "<th>entropy at the end</th></tr></thead><tbody>" + rows +
         "</tbody></table></div><p class=\"dim\">Best first. " + std::string(kl ? "KL and entropy" : "Entropy") +
         ": nats per token, mean over the last tenth of the steps, as the runs logged them." + seeds + "</p>" +
         (figures.empty() ? "" : AxisSwitch() + "<div class=\"charts\">" + figures + "</div>");
}

std::string GroupAlgorithms(const RunGroup& group) {
  std::string out;
  for (const Comparison& comparison : ComparisonsOf(group)) out += ComparisonHtml(group, comparison);
  return out;
}

// The rule of the section's sentence.
bool LiftsOff(const Estimate& base, const Estimate& after) {
  const Estimate gain = Difference(base, after);
  if (!gain.known() || (gain.has_error() && !Significant(gain))) return false;
  return after.value > 2 * base.value || gain.value >= 0.15;
}

// The share of the corpus's documents with thinking that a base has seen, or the word that the recipe has for it.
std::string CellTitle(const BaseCell& cell) {
  char* end = nullptr;
  const double share = std::strtod(cell.reasoning.c_str(), &end);
  const bool number = end != cell.reasoning.c_str() && *end == '\0' && share >= 0 && share <= 1;
  return (cell.preset.empty() ? "" : cell.preset + ", ") +
         "reasoning: " + (number ? PercentText(share, 0) : cell.reasoning);
}

std::string GroupBases(const RunGroup& group) {
  const std::vector<BaseCell> cells = BaseGridOf(group);
  if (cells.empty()) return "";
  std::string rows, figures, lifted, grounded;
  for (const BaseCell& cell : cells) {
    const Estimate base = BaseResultOf(group, cell.rl, "pass@1"), after = ResultOf(group, cell.rl, "pass@1");
    const Estimate gain = Difference(base, after);
    const bool lifts = LiftsOff(base, after);
    const std::string title = EscapeHtml(CellTitle(cell));
    if (gain.known()) (lifts ? lifted : grounded) += ((lifts ? lifted : grounded).empty() ? "" : "; ") + title;
    rows += "<tr><th>" + title + "<small>" + EscapeHtml(cell.base) + " → " + EscapeHtml(cell.rl) + "</small></th><td>" +
            CompactText(MeanStage(group, cell.base, &PipelineStage::parameters)) + "</td><td>" + ShareHtml(base) +
            "</td><td>" + ShareHtml(BaseResultOf(group, cell.rl, "cons@16")) + "</td><td>" + ShareHtml(after) +
            "</td><td class=\"change\">" + PointsHtml(gain) + "</td><td>" +
            ShareHtml(BaseResultOf(group, cell.rl, "reflection")) + "</td><td>" +
            ShareHtml(ResultOf(group, cell.rl, "reflection")) + "</td><td>" +
            (!gain.known() ? "–"
             : lifts       ? "<span class=\"chip right\">lifts off</span>"
                           : "<span class=\"chip noise\">stays</span>") +
            "</td></tr>";
    const StageLog log = MeanLog(group, cell.rl);
    Panel panel = RlPanel("Accuracy");
    const std::string heading = CellTitle(cell);
    panel.title = heading.c_str();
    panel.caption = group.size() > 1 ? "Mean over the seeds." : "";
    panel.metrics.resize(2);
    panel.base_lines = false;
    if (base.known()) panel.references.push_back({.label = "base: " + PercentText(base.value), .y = base.value});
    if (!log.step.empty()) figures += FigureHtml({{group[0], &log, cell.rl}}, panel, "RL step", FigureSize::kSmall);
  }
  std::string said = lifted.empty() ? "RL lifts off from none of these bases." : "RL lifts off from: " + lifted + ".";
  if (!lifted.empty() && !grounded.empty()) said += " It does not from: " + grounded + ".";
  return "<p>" + said +
         " (Rule: after RL, pass@1 is more than twice the base's or at least 15 points above it, and the gain is at "
         "least two "
         "standard errors.)</p><div class=\"scroll\"><table "
         "class=\"results\"><thead><tr><th>base</th><th>parameters</th><th>"
         "base, pass@1</th><th>base, cons@16</th><th>after RL, pass@1</th><th>gain, points</th><th>reflection, "
         "base</th><th>"
         "after RL</th><th></th></tr></thead><tbody>" +
         rows + "</tbody></table></div>" +
         (figures.empty() ? "" : AxisSwitch() + "<div class=\"charts\">" + figures + "</div>") +
         "<p class=\"dim\">The paper: a 7B dense and a 16B expert model gained nothing from longer outputs; 32B and "
         "larger "
         "bases did.</p>";
}

}  // namespace

std::string AlgorithmsSection(const std::vector<RunGroup>& groups) {
  return SectionOf("algorithms", "Algorithms", groups, GroupAlgorithms);
}

std::string BasesSection(const std::vector<RunGroup>& groups) {
  return SectionOf("bases", "Which base lifts off", groups, GroupBases);
}

}  // namespace r1
