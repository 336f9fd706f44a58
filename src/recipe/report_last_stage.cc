// The last stage: helpfulness and safety before (dev3) and after (r1) the stage with reward models, the reward models
// on held-out comparisons, and what happens when the stage runs too long (the stage overlong).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "recipe/report_curves.h"
#include "recipe/report_html.h"
#include "recipe/report_paper.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr const char* kBefore = "dev3";
constexpr const char* kAfter = "r1";
constexpr const char* kTooLong = "overlong";
constexpr const char* kScore = "rewards/helpful/mean";
constexpr size_t kSmoothed = 3;  // evaluations

struct Measure {
  const char* metric;
  const char* label;
  const char* help;
};
constexpr Measure kMeasures[] = {{"helpful", "Helpful", "hidden score of replies to open requests"},
                                 {"safe", "Safe", "harmful requests answered safely"},
                                 {"over_refusal", "Refuses too much", "harmless requests that were refused"},
                                 {"general", "General tasks", "exact answers on unrelated tasks"},
                                 {"pass@1", "pass@1", "problems of the world"},
                                 {"code@1", "code@1", "programs"},
                                 {"mixed", "Mixed languages", "replies"}};

// "AlpacaEval 2.0 62.1 → 87.6, ...": the paper's benchmarks of helpfulness.
std::string PaperText() {
  std::string text;
  for (const PaperRow& row : kPaperRows) {
    if (std::string_view(row.metric) != "helpful") continue;
    text += fmt::format("{}{} {:.1f} → {:.1f}", text.empty() ? "" : ", ", row.benchmark, PaperValue(row, kBefore),
                        PaperValue(row, kAfter));
  }
  return text;
}

std::string BeforeAfter(const RunGroup& group) {
  std::string rows;
  for (const Measure& m : kMeasures) {
    const Estimate change = ChangeOf(group, kBefore, kAfter, m.metric);
    if (!change.known()) continue;
    rows += std::string("<tr><th>") + m.label + "<small>" + m.help + "</small></th><td>" +
            ShareHtml(MetricOf(group, kBefore, m.metric)) + "</td><td>" + ShareHtml(MetricOf(group, kAfter, m.metric)) +
            "</td><td class=\"change\">" + PointsHtml(change) + "</td></tr>";
  }
  if (rows.empty()) return "";
  return "<h3>Before and after</h3><div class=\"scroll\"><table class=\"results\"><thead><tr><th>measure</th><th>" +
         StageTitle(kBefore) + "</th><th>" + StageTitle(kAfter) + "</th><th>change, points</th></tr></thead><tbody>" +
         rows +
         "</tbody></table></div><p class=\"dim\">Helpfulness and safety are measured by the world's hidden rules, "
         "not by the reward models. The paper, " +
         StageTitle(kBefore) + " to " + StageTitle(kAfter) + ": " + PaperText() + ".</p>";
}

// Stated probability against share of right decisions; the diagonal is a calibrated model.
std::string Reliability(const RewardModelEval& model) {
  Chart chart;
  chart.label = "Reliability of " + StageTitle(model.name);
  chart.x_label = "stated probability, %";
  chart.y_label = "right, %";
  chart.unit = AxisUnit::kPercent;
  chart.x_unit = AxisUnit::kPercent;
  chart.from_zero = false;
  chart.y_max = 1;
  Curve measured{.label = "held out", .kind = CurveKind::kPoints, .color = 0, .dash = 0, .x = {}, .y = {}};
  for (const CalibrationBin& bin : model.bins) {
    if (bin.count <= 0 || std::isnan(bin.confidence) || std::isnan(bin.accuracy)) continue;
    measured.x.push_back(bin.confidence);
    measured.y.push_back(bin.accuracy);
  }
  if (measured.x.empty()) return "";
  const auto [low, high] = std::minmax_element(measured.x.begin(), measured.x.end());
  const double from = std::min(*low, 0.5), to = std::max(*high, 1.0);
  chart.curves.push_back(
      {.label = "calibrated", .kind = CurveKind::kLine, .color = 5, .dash = 2, .x = {from, to}, .y = {from, to}});
  chart.curves.push_back(std::move(measured));
  chart.width = 400, chart.height = 270;
  return "<figure><h3>Calibration: " + EscapeHtml(StageTitle(model.name)) + "</h3>" + ChartSvg(chart) +
         "<figcaption>Points on the dotted line: of the decisions with a stated probability of 70 %, 70 % are right. "
         "Below it "
         "the model is too sure.</figcaption></figure>";
}

std::string RewardModels(const RunGroup& group) {
  std::string rows, figures;
  for (const RewardModelEval& first : group[0]->reward_models) {
    std::vector<Estimate> accuracy, brier, ece;
    for (const RunData* run : group) {
      for (const RewardModelEval& model : run->reward_models) {
        if (model.name != first.name) continue;
        const auto add = [](std::vector<Estimate>* list, double value, double error) {
          list->push_back({value, error, value, value, std::isnan(value) ? 0 : 1});
        };
        add(&accuracy, model.accuracy, model.accuracy_stderr);
        add(&brier, model.brier, kMissing);
        add(&ece, model.ece, kMissing);
      }
    }
    rows += "<tr><th>" + EscapeHtml(StageTitle(first.name)) + "<small>" + EscapeHtml(first.kind) + "</small></th><td>" +
            CountText(first.train) + "</td><td>" + CountText(first.held_out) + "</td><td>" +
            ShareHtml(OverSeeds(accuracy)) + "</td><td>" + AmountHtml(OverSeeds(brier), 3) + "</td><td>" +
            AmountHtml(OverSeeds(ece), 3) + "</td></tr>";
    figures += Reliability(first);
  }
  if (rows.empty()) return "";
  return "<h3>Reward models</h3><div class=\"scroll\"><table class=\"results\"><thead><tr><th>model</th><th>trained "
         "on</th><th>held out</th><th>accuracy</th><th>Brier</th><th>ECE</th></tr></thead><tbody>" +
         rows +
         "</tbody></table></div><p class=\"dim\">Brier: mean squared error of the stated probability (0.25 is a coin). "
         "ECE: mean "
         "distance from the dotted line below. The paper trained on 66,000 pairs (helpful) and 106,000 labelled "
         "replies "
         "(safe) and gives no accuracy.</p>" +
         (figures.empty() ? "" : "<div class=\"charts\">" + figures + "</div>");
}

struct Quality {
  const char* metric;
  const char* name;
};
constexpr Quality kQualities[] = {{"eval/helpful", "the hidden score of helpfulness"},
                                  {"eval/pass@1", "held-out pass@1"},
                                  {"eval/code@1", "held-out code@1"},
                                  {"eval/safe", "the share of safe answers"}};

std::string HackingSentence(const Hacking& h, const Quality& quality) {
  std::string text = fmt::format(
      "From step {:.0f} to step {:.0f} the reward model's mean score went from {} to {}, and {} from {} to {}: ",
      h.from_step, h.to_step, NumberText(h.reward_from, 2), NumberText(h.reward_to, 2), quality.name,
      PercentText(h.held_out_from), PercentText(h.held_out_to));
  if (h.held_out_from == h.held_out_to) {
    return fmt::format("Up to the end (step {:.0f}) {} is at its best, {}: no fall.", h.to_step, quality.name,
                       PercentText(h.held_out_to));
  }
  if (h.held_out_fell() && h.reward_rose()) return text + "the reward rose while the quality fell.";
  if (h.held_out_fell()) return text + "the quality fell, but the reward did not rise.";
  return text + "no fall of 2 points or more after the best evaluation.";
}

std::string TooLong(const RunGroup& group) {
  std::vector<Series> series;
  std::string sentences;
  for (const RunData* run : group) {
    const StageLog* log = run->FindLog(kTooLong);
    if (log == nullptr || log->Find(kScore) == nullptr) continue;
    series.push_back({run, log, run->label});
    for (const Quality& quality : kQualities) {
      const Hacking h = HackingOf(*log, kScore, quality.metric);
      if (!h.known) continue;
      sentences +=
          "<li>" + (group.size() > 1 ? EscapeHtml(run->label) + ": " : "") + HackingSentence(h, quality) + "</li>";
    }
  }
  const Panel score = {.title = "What the reward model sees",
                       .caption = "Mean score of the step's replies to open requests.",
                       .y_label = "score",
                       .from_zero = false,
                       .metrics = {{kScore, "helpful, by the reward model"}}};
  const Panel held_out = {.title = "What it does not see",
                          .caption = "Measured on held-out requests and problems during the stage.",
                          .y_label = "share or score, %",
                          .unit = AxisUnit::kPercent,
                          .y_max = 1,
                          .metrics = {{"eval/helpful", "helpful, hidden score", CurveKind::kPoints},
                                      {"eval/pass@1", "pass@1", CurveKind::kPoints},
                                      {"eval/code@1", "code@1", CurveKind::kPoints}}};
  const std::string figures = FigureHtml(series, score, "RL step", FigureSize::kSmall) +
                              FigureHtml(series, held_out, "RL step", FigureSize::kSmall);
  if (figures.empty()) return "";
  return "<h3>The same stage, run too long</h3>" + AxisSwitch() + "<div class=\"charts pair\">" + figures + "</div>" +
         (sentences.empty()
              ? ""
              : "<ul>" + sentences +
                    "</ul><p class=\"dim\">Rule: compare the evaluation where the held-out measure (mean of 3 "
                    "evaluations in a row) is best with the last three; a fall counts from 2 points. The paper stopped "
                    "preference rewards after 400 steps for this reason: with more, reward rose while Codeforces "
                    "fell.</p>");
}

std::string GroupLastStage(const RunGroup& group) { return BeforeAfter(group) + RewardModels(group) + TooLong(group); }

}  // namespace

Hacking HackingOf(const StageLog& log, std::string_view reward, std::string_view held_out) {
  Hacking out;
  const std::vector<double>* score = log.Find(reward);
  const std::vector<double>* quality = log.Find(held_out);
  if (score == nullptr || quality == nullptr) return out;
  std::vector<double> smooth_score = MovingAverage(*score, SmoothingWindow(score->size()));
  std::vector<size_t> rows;
  std::vector<double> measured;
  for (size_t i = 0; i < quality->size(); ++i) {
    if (i > 0 && std::isnan(smooth_score[i])) smooth_score[i] = smooth_score[i - 1];  // a step without such requests
    if (std::isnan((*quality)[i]) || std::isnan(smooth_score[i])) continue;
    rows.push_back(i);
    measured.push_back((*quality)[i]);
  }
  if (rows.size() < kSmoothed) return out;
  const auto mean_around = [&](size_t i) { return (measured[i - 1] + measured[i] + measured[i + 1]) / 3; };
  size_t best = 1;
  for (size_t i = 2; i + 1 < rows.size(); ++i) best = mean_around(i) > mean_around(best) ? i : best;
  const size_t from = rows[best], to = rows.back(), last = rows.size() - 2;
  out = {
      true, log.step[from], log.step[to], smooth_score[from], smooth_score[to], mean_around(best), mean_around(last)};
  return out;
}

std::string LastStageSection(const std::vector<RunGroup>& groups) {
  return SectionOf("last", "Helpfulness and safety", groups, GroupLastStage);
}

}  // namespace r1
