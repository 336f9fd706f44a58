// Small students: reinforcement learning on them against fine-tuning on the large model's replies, beside the paper's
// 32B student.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_curves.h"
#include "recipe/report_html.h"
#include "recipe/report_paper.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

// Tokens that the data of a stage was sampled with.
double DataTokens(const RunGroup& group, const std::string& name) {
  const PipelineStage* stage = group[0]->FindStage(name);
  if (stage == nullptr) return kMissing;
  double sum = kMissing;
  for (const std::string& data : stage->data) {
    const double tokens = MeanStage(group, data.substr(0, data.find('/')), &PipelineStage::sampled_tokens);
    if (!std::isnan(tokens)) sum = std::isnan(sum) ? tokens : sum + tokens;
  }
  return sum;
}

std::string Row(const RunGroup& group, const std::string& title, const std::string& stage, bool distilled) {
  const auto share = [&](const char* metric) { return "<td>" + ShareHtml(MetricOf(group, stage, metric)) + "</td>"; };
  const double sampled = distilled ? DataTokens(group, stage) : MeanStage(group, stage, &PipelineStage::sampled_tokens);
  return "<tr><th>" + EscapeHtml(title) + "</th>" + share("pass@1") + share("cons@16") + share("code@1") + "<td>" +
         AmountHtml(MetricOf(group, stage, "mean_tokens")) + "</td><td>" +
         CompactText(MeanStage(group, stage, &PipelineStage::trained_tokens)) + "</td><td>" +
         (sampled > 0 ? CompactText(sampled) : "–") +
         (distilled && !std::isnan(sampled) ? "<small>by the teacher, shared</small>" : "") + "</td><td>" +
         SpelledDuration(MeanStage(group, stage, &PipelineStage::seconds)) + "</td></tr>";
}

// How flat a curve has become: the mean of its last fifth minus that of the fifth before.
std::string FlatText(const StageLog& log) {
  const std::vector<double>* accuracy = log.Find("rewards/accuracy/mean");
  if (accuracy == nullptr || accuracy->size() < 20) return "";
  const size_t n = accuracy->size(), fifth = n / 5;
  double last = 0, before = 0;
  for (size_t i = n - fifth; i < n; ++i) {
    last += (*accuracy)[i];
    before += (*accuracy)[i - fifth];
  }
  const double change = 100 * (last - before) / static_cast<double>(fifth);
  if (std::isnan(change)) return "";
  return fmt::format(
      " In the last fifth of the {} steps of RL, training accuracy is {} points from that of the fifth before.", n,
      SignedText(change, kMissing, 1));
}

std::string StudentHtml(const RunGroup& group, const Student& student) {
  const Estimate change = ChangeOf(group, student.rl, student.distilled, "pass@1");
  std::string text;
  if (change.known()) {
    text = "<p>" + EscapeHtml(student.name) + ": distilled minus RL, pass@1: <b>" + PointsHtml(change) + "</b> points" +
           (change.has_error() && !Significant(change) ? " (not significant)" : "") + ".";
    if (const StageLog* log = group[0]->FindLog(student.rl)) text += FlatText(*log);
    text += "</p>";
  }
  return text;
}

std::string Curve(const RunGroup& group, const Student& student, const std::string& title) {
  std::vector<Series> series;
  for (const RunData* run : group) {
    if (const StageLog* log = run->FindLog(student.rl)) series.push_back({run, log, run->label});
  }
  Panel panel = {.title = title.c_str(),
                 .caption = "RL on the student, with the levels of its base and of the distilled student.",
                 .y_label = "right answers, %",
                 .unit = AxisUnit::kPercent,
                 .y_max = 1,
                 .metrics = {{"rewards/accuracy/mean", "training batch"},
                             {"eval/pass@1", "held out, pass@1", CurveKind::kPoints},
                             {"results:pass@1", "held out, before and after", CurveKind::kMarkers}}};
  const Estimate distilled = MetricOf(group, student.distilled, "pass@1"),
                 base = MetricOf(group, student.base, "pass@1");
  if (distilled.known()) {
    panel.references.push_back(
        {.label = "distilled: " + PercentText(distilled.value), .y = distilled.value, .color = 2});
  }
  if (base.known()) panel.references.push_back({.label = "base: " + PercentText(base.value), .y = base.value});
  return FigureHtml(series, panel, "RL step", FigureSize::kSmall);
}

std::string GroupStudents(const RunGroup& group) {
  std::string rows, texts, figures;
  for (const Student& student : StudentsOf(group)) {
    const Estimate distilled = MetricOf(group, student.distilled, "pass@1"), rl = MetricOf(group, student.rl, "pass@1");
    if (!distilled.known() && !rl.known()) continue;
    const double parameters = MeanStage(group, student.base, &PipelineStage::parameters);
    const std::string size = std::isnan(parameters) ? "" : ", " + CompactText(parameters) + " parameters";
    rows += "<tr class=\"head\"><th colspan=\"8\">" + EscapeHtml(student.name + size) + "</th></tr>";
    rows += Row(group, "base", student.base, false) + Row(group, "RL on it", student.rl, false) +
            Row(group, "distilled", student.distilled, true);
    texts += StudentHtml(group, student);
    figures += Curve(group, student, student.name);
  }
  if (rows.empty()) return "";
  std::string paper;
  for (const PaperStudent& row : kPaperStudents) {
    paper += fmt::format("{}{} {:.1f} against {:.1f}", paper.empty() ? "" : ", ", row.benchmark, row.distilled, row.rl);
  }
  return "<div class=\"scroll\"><table class=\"results\"><thead><tr><th>student</th><th>pass@1</th><th>cons@16</th><th>"
         "code@1</th><th>tokens per reply</th><th>trained tokens</th><th>sampled "
         "tokens</th><th>time</th></tr></thead><tbody>" +
         rows + "</tbody></table></div>" + texts +
         (figures.empty() ? "" : AxisSwitch() + "<div class=\"charts\">" + figures + "</div>") +
         "<p class=\"dim\">The paper, a 32B student, distilled against more than 10,000 steps of RL: " + paper +
         ".</p>";
}

}  // namespace

std::string StudentsSection(const std::vector<RunGroup>& groups) {
  return SectionOf("students", "Distillation against RL", groups, GroupStudents);
}

}  // namespace r1
