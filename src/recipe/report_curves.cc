// The curves of the report: which metrics are drawn together, over steps and over tokens, with the
// data that the page's script reads out. One run: colour tells the metrics of a chart apart.
// Several runs: colour is the run, dash the metric.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "recipe/report_html.h"
#include "recipe/report_sections.h"

namespace r1 {
namespace {

constexpr size_t kMaxReadOuts = 600;

struct Metric {
  const char* name;
  const char* label;
  CurveKind kind = CurveKind::kSmoothed;
};

struct Panel {
  const char* title;
  const char* caption;
  const char* y_label;
  AxisUnit unit = AxisUnit::kNumber;
  bool from_zero = true;
  double y_max = -1;
  std::vector<Metric> metrics;
  bool base_lines = false;    // majority vote of the base as reference lines
  bool only_nonzero = false;  // left out when every value is zero
};

enum class Phase { kRl, kPretrain };

const std::vector<Panel>& RlPanels() {
  static const auto* panels = new std::vector<Panel>{
      {.title = "Accuracy",
       .caption = "Training: share of right answers among the sampled replies. Held out: pass@1 on "
                  "problems never trained on.",
       .y_label = "right answers, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"rewards/accuracy/mean", "training batch"},
                   {"eval/pass@1", "held out, pass@1", CurveKind::kPoints},
                   {"results:pass@1", "held out, before and after", CurveKind::kMarkers}},
       .base_lines = true},
      {.title = "Reply length",
       .caption = "Mean over the step's replies.",
       .y_label = "tokens per reply",
       .metrics = {{"completions/mean_length", "whole reply"}, {"think/mean_tokens", "thinking only"}}},
      {.title = "Reflection",
       .caption = "Share of replies that stop and reconsider (wait, 等等).",
       .y_label = "replies with reflection, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"think/reflections", "with reflection"}}},
      {.title = "Tries",
       .caption = "Mean number of candidates that a reply tries while thinking.",
       .y_label = "tries per reply",
       .metrics = {{"think/tries", "tries"}}},
      {.title = "Language",
       .caption = "Mixed: thinking in two languages at once. Consistency: share of thinking words "
                  "in the prompt's language.",
       .y_label = "share, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"language/mixed", "mixed replies"}, {"language/consistency", "consistency"}}},
      {.title = "Reward",
       .caption = "Mean over the step's replies, and the mean of the standard deviations within groups.",
       .y_label = "reward",
       .metrics = {{"reward", "mean reward"}, {"reward_std", "spread in a group"}}},
      {.title = "Format",
       .caption = "Share of replies that are exactly one thought and one answer.",
       .y_label = "well-formed, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"rewards/format/mean", "well-formed"}}},
      {.title = "Entropy",
       .caption = "Mean entropy of the policy per sampled token: what is left to explore.",
       .y_label = "nats per token",
       .metrics = {{"entropy", "entropy"}}},
      {.title = "KL divergence",
       .caption = "From the reference policy, per token, as the run logged it.",
       .y_label = "nats per token",
       .metrics = {{"kl", "KL"}}},
      {.title = "Clipping",
       .caption = "Replies cut at the length limit, and tokens whose probability ratio was clipped.",
       .y_label = "share, %",
       .unit = AxisUnit::kPercent,
       .metrics = {{"completions/clipped_ratio", "cut replies"},
                   {"clip_ratio/low_mean", "clipped low"},
                   {"clip_ratio/high_mean", "clipped high"}}},
      {.title = "Groups without a signal",
       .caption = "Share of prompts whose replies all got the same reward, so that nothing is "
                  "learnt from them.",
       .y_label = "groups, %",
       .unit = AxisUnit::kPercent,
       .y_max = 1,
       .metrics = {{"frac_reward_zero_std", "no spread"}}},
      {.title = "Expert load",
       .caption = "Most and least used expert of any layer, as a multiple of its layer's mean.",
       .y_label = "load, mean = 1",
       .metrics = {{"expert_load/max", "most used"}, {"expert_load/min", "least used"}}},
      {.title = "Gradient norm",
       .caption = "Before clipping.",
       .y_label = "norm",
       .metrics = {{"grad_norm", "gradient norm"}}},
      {.title = "Learning rate",
       .caption = "",
       .y_label = "learning rate",
       .metrics = {{"learning_rate", "learning rate", CurveKind::kLine}}},
      {.title = "Sampler against trainer",
       .caption = "Largest difference between a token's log-probability when sampled and when "
                  "trained on. It should be exactly 0.",
       .y_label = "nats",
       .metrics = {{"logp_mismatch/max", "largest difference", CurveKind::kLine}},
       .only_nonzero = true},
      {.title = "Ungradable replies",
       .caption = "Replies the grader could not judge.",
       .y_label = "replies, %",
       .unit = AxisUnit::kPercent,
       .metrics = {{"reward/ungradable_frac", "ungradable"}},
       .only_nonzero = true},
      {.title = "Time per step",
       .caption = "Wall time, and its parts.",
       .y_label = "seconds",
       .metrics = {{"step_time", "whole step"},
                   {"time/rollout", "sampling"},
                   {"time/train", "training"},
                   {"time/grade", "grading"}}},
  };
  return *panels;
}

const std::vector<Panel>& PretrainPanels() {
  static const auto* panels = new std::vector<Panel>{
      {.title = "Pretraining loss",
       .caption = "Mean cross-entropy of the next token.",
       .y_label = "nats per token",
       .metrics = {{"loss", "training loss"},
                   {"mtp_loss", "token after next (MTP)"},
                   {"eval/loss", "held out", CurveKind::kPoints}}},
      {.title = "Pretraining: gradient norm",
       .caption = "Before clipping.",
       .y_label = "norm",
       .metrics = {{"grad_norm", "gradient norm"}}},
      {.title = "Pretraining: learning rate",
       .caption = "",
       .y_label = "learning rate",
       .metrics = {{"learning_rate", "learning rate", CurveKind::kLine}}},
      {.title = "Pretraining: expert load",
       .caption = "Most and least used expert of any layer, as a multiple of its layer's mean.",
       .y_label = "load, mean = 1",
       .metrics = {{"expert_load/max", "most used"}, {"expert_load/min", "least used"}}},
      {.title = "Pretraining: speed",
       .caption = "",
       .y_label = "tokens per second",
       .metrics = {{"tokens_per_second", "speed"}}},
  };
  return *panels;
}

const StageLog* PhaseLog(const RunData& run, Phase phase) {
  return phase == Phase::kRl ? run.RlStage() : run.PretrainStage();
}

// The rows of a metric that have a number; steps and tokens (empty if the run logs none), same
// length as y.
struct Points {
  std::vector<double> step, tokens, y;
};

// What results.json has for "results:NAME": the evaluation of the base at step 0 and of the RL
// stage at its last step.
Points ResultPoints(const RunData& run, const StageLog& log, std::string_view name) {
  Points points;
  const std::vector<double>* tokens = log.Find("num_tokens");
  const StageEval* before = run.FindEval("base");
  const StageEval* after = run.FindEval(log.name);
  if (before == nullptr || after == nullptr || log.step.empty()) return points;
  if (std::isnan(before->Get(name)) || std::isnan(after->Get(name))) return points;
  points.step = {std::min(0.0, log.step.front()), log.step.back()};
  points.tokens = {tokens == nullptr ? kMissing : 0, tokens == nullptr ? kMissing : tokens->back()};
  points.y = {before->Get(name), after->Get(name)};
  return points;
}

Points PointsOf(const RunData& run, const StageLog& log, const Metric& metric) {
  constexpr std::string_view kResults = "results:";
  const std::string_view name = metric.name;
  if (name.substr(0, kResults.size()) == kResults) {
    return ResultPoints(run, log, name.substr(kResults.size()));
  }
  Points points;
  const std::vector<double>* column = log.Find(name);
  if (column == nullptr) return points;
  const std::vector<double>* tokens = log.Find("num_tokens");
  for (size_t i = 0; i < column->size(); ++i) {
    // Sparse measurements keep their rows only; a gap in a dense curve stays a gap.
    if (std::isnan((*column)[i]) && metric.kind == CurveKind::kPoints) continue;
    points.step.push_back(log.step[i]);
    points.tokens.push_back(tokens == nullptr ? kMissing : (*tokens)[i]);
    points.y.push_back((*column)[i]);
  }
  return points;
}

bool HasTokens(const Points& points) {
  for (size_t i = 0; i < points.tokens.size(); ++i) {
    if (std::isnan(points.tokens[i]) || (i > 0 && points.tokens[i] < points.tokens[i - 1])) return false;
  }
  return !points.tokens.empty();
}

struct DrawnCurve {
  Curve style;  // label, kind, colour, dash; x empty
  Points points;
};

bool HasValue(const Points& points, bool nonzero) {
  return std::any_of(points.y.begin(), points.y.end(),
                     [&](double v) { return !std::isnan(v) && (v != 0 || !nonzero); });
}

std::vector<DrawnCurve> CurvesOf(const std::vector<RunData>& runs, const Panel& panel, Phase phase) {
  std::vector<DrawnCurve> drawn;
  size_t style = 0;  // of the metric, counting those that any run has
  for (const Metric& metric : panel.metrics) {
    bool any = false;
    for (size_t r = 0; r < runs.size(); ++r) {
      const StageLog* log = PhaseLog(runs[r], phase);
      if (log == nullptr) continue;
      DrawnCurve curve;
      curve.points = PointsOf(runs[r], *log, metric);
      if (!HasValue(curve.points, panel.only_nonzero)) continue;
      any = true;
      const bool many = runs.size() > 1;
      curve.style.label =
          many ? runs[r].label + (panel.metrics.size() > 1 ? ": " + std::string(metric.label) : "") : metric.label;
      curve.style.kind = metric.kind;
      curve.style.color = static_cast<int>((many ? r : style) % 6);
      curve.style.dash = static_cast<int>(std::min<size_t>(style, 2));
      drawn.push_back(std::move(curve));
    }
    style += any ? 1 : 0;
  }
  return drawn;
}

Chart ChartOf(const std::vector<RunData>& runs, const Panel& panel, const std::vector<DrawnCurve>& drawn, Phase phase,
              XAxis axis) {
  Chart chart;
  chart.x_label = axis == XAxis::kTokens ? "tokens" : phase == Phase::kRl ? "RL step" : "pretraining step";
  chart.y_label = panel.y_label;
  chart.unit = panel.unit;
  chart.from_zero = panel.from_zero;
  chart.y_max = panel.y_max;
  chart.label = std::string(panel.title) + " over " + chart.x_label;
  for (const DrawnCurve& curve : drawn) {
    if (axis == XAxis::kTokens && !HasTokens(curve.points)) continue;
    Curve out = curve.style;
    out.x = axis == XAxis::kTokens ? curve.points.tokens : curve.points.step;
    out.y = curve.points.y;
    const double last = *std::find_if(out.y.rbegin(), out.y.rend(), [](double v) { return !std::isnan(v); });
    chart.label +=
        "; " + out.label + " ends at " + (panel.unit == AxisUnit::kPercent ? PercentText(last) : CompactText(last));
    chart.curves.push_back(std::move(out));
  }
  if (!panel.base_lines) return chart;
  for (const char* metric : {"cons@16", "cons@64"}) {
    double sum = 0;
    int count = 0;
    for (const RunData& run : runs) {
      const StageEval* base = run.FindEval("base");
      if (base == nullptr || std::isnan(base->Get(metric))) continue;
      sum += base->Get(metric);
      ++count;
    }
    if (count == 0) continue;
    const std::string who = count > 1 ? "bases (mean of " + std::to_string(count) + ")" : "base";
    chart.references.push_back(
        {.label = who + ", majority of " + (metric + 5) + ": " + PercentText(sum / count), .y = sum / count});
  }
  return chart;
}

nlohmann::json NumbersJson(const std::vector<double>& values, const std::vector<size_t>& keep) {
  nlohmann::json out = nlohmann::json::array();
  for (const size_t i : keep) {
    if (std::isnan(values[i])) {
      out.push_back(nullptr);
    } else {
      const double scale =
          std::pow(10,
                   5 - std::ceil(std::log10(std::abs(values[i]) + 1e-300)));  // 5 digits are plenty to read
      const double rounded = values[i] == 0 || scale < 1 ? values[i] : std::round(values[i] * scale) / scale;
      out.push_back(rounded);
    }
  }
  return out;
}

// What the read-out script needs: per curve the values at (at most kMaxReadOuts) steps.
std::string ReadOutJson(const Panel& panel, const std::vector<DrawnCurve>& drawn, Phase phase) {
  nlohmann::json curves = nlohmann::json::array();
  for (const DrawnCurve& curve : drawn) {
    const std::vector<size_t> keep = Thin(curve.points.y.size(), kMaxReadOuts);
    nlohmann::json entry = {{"label", curve.style.label},
                            {"color", curve.style.color},
                            {"step", NumbersJson(curve.points.step, keep)},
                            {"y", NumbersJson(curve.points.y, keep)}};
    if (HasTokens(curve.points)) entry["tokens"] = NumbersJson(curve.points.tokens, keep);
    const size_t window = curve.style.kind == CurveKind::kSmoothed ? SmoothingWindow(curve.points.y.size()) : 1;
    if (window > 1) entry["mean"] = NumbersJson(MovingAverage(curve.points.y, window), keep);
    curves.push_back(std::move(entry));
  }
  const nlohmann::json data = {{"percent", panel.unit == AxisUnit::kPercent},
                               {"step", phase == Phase::kRl ? "RL step" : "pretraining step"},
                               {"curves", std::move(curves)}};
  return JsonInScript(ToLineText(data));
}

std::string SmoothingNote(const std::vector<DrawnCurve>& drawn) {
  size_t low = 0, high = 0;
  for (const DrawnCurve& curve : drawn) {
    if (curve.style.kind != CurveKind::kSmoothed) continue;
    const size_t window = SmoothingWindow(curve.points.y.size());
    if (window <= 1) continue;
    low = low == 0 ? window : std::min(low, window);
    high = std::max(high, window);
  }
  if (high == 0) return "";
  const std::string steps = low == high ? std::to_string(high) : std::to_string(low) + " to " + std::to_string(high);
  return "Strong line: moving average over " + steps + " steps; faint: every step.";
}

std::string Figure(const std::vector<RunData>& runs, const Panel& panel, Phase phase, bool hero) {
  const std::vector<DrawnCurve> drawn = CurvesOf(runs, panel, phase);
  if (drawn.empty()) return "";
  std::string plots;
  for (const XAxis axis : {XAxis::kSteps, XAxis::kTokens}) {
    Chart chart = ChartOf(runs, panel, drawn, phase, axis);
    const std::string by = axis == XAxis::kSteps ? "by-step" : "by-tokens";
    if (chart.curves.empty()) {
      plots += "<p class=\"none " + by + "\">These runs log no token counts for this chart.</p>";
      continue;
    }
    if (hero) {
      chart.width = 400, chart.height = 290;
      plots += ChartSvg(chart, "class=\"" + by + " narrow\"");
      chart.width = 1000, chart.height = 380;
      plots += ChartSvg(chart, "class=\"" + by + " wide\"");
    } else {
      chart.width = 400, chart.height = 250;
      plots += ChartSvg(chart, "class=\"" + by + "\"");
    }
  }
  std::string caption = panel.caption;
  if (const std::string note = SmoothingNote(drawn); !note.empty()) caption += (caption.empty() ? "" : " ") + note;
  return std::string("<figure class=\"chart") + (hero ? " hero" : "") + "\"><h3>" + EscapeHtml(panel.title) + "</h3>" +
         plots + "<figcaption>" + EscapeHtml(caption) + "</figcaption><script type=\"application/json\">" +
         ReadOutJson(panel, drawn, phase) + "</script></figure>";
}

Chart SharedChart(const std::vector<RunData>& runs, const char* title, XAxis axis) {
  for (const Panel& panel : RlPanels()) {
    if (std::string_view(panel.title) == title)
      return ChartOf(runs, panel, CurvesOf(runs, panel, Phase::kRl), Phase::kRl, axis);
  }
  return {};
}

}  // namespace

Chart AccuracyChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Accuracy", axis); }
Chart LengthChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Reply length", axis); }
Chart LanguageChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Language", axis); }

std::string CurvesSection(const std::vector<RunData>& runs) {
  std::string figures;
  for (const Panel& panel : RlPanels())
    figures += Figure(runs, panel, Phase::kRl, figures.empty() && std::string_view(panel.title) == "Accuracy");
  std::string pretrain;
  for (const Panel& panel : PretrainPanels()) pretrain += Figure(runs, panel, Phase::kPretrain, false);
  if (figures.empty() && pretrain.empty()) return "";
  std::string out =
      "<section id=\"curves\"><h2>Curves</h2><div class=\"axes\">"
      "<input type=\"radio\" name=\"axis\" id=\"axis-step\" checked><label "
      "for=\"axis-step\">against steps</label>"
      "<input type=\"radio\" name=\"axis\" id=\"axis-tokens\"><label for=\"axis-tokens\">against "
      "tokens</label>";
  if (!figures.empty())
    out += "<h3 class=\"phase\">Reinforcement learning</h3><div class=\"charts\">" + figures + "</div>";
  if (!pretrain.empty()) out += "<h3 class=\"phase\">Pretraining</h3><div class=\"charts\">" + pretrain + "</div>";
  return out + "</div></section>";
}

}  // namespace r1
