#include "recipe/report_curves.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "recipe/report_html.h"
#include "recipe/report_roles.h"

namespace r1 {
namespace {

constexpr size_t kMaxReadOuts = 600, kSmallReadOuts = 200;

// The rows of a metric that have a number; steps and tokens (empty if the run logs none), same
// length as y.
struct Points {
  std::vector<double> step, tokens, y;
};

// What results.json has for "results:NAME": the evaluations before the stage, at step 0, and after its last step.
Points ResultPoints(const RunData& run, const StageLog& log, std::string_view name) {
  Points points;
  const std::vector<double>* tokens = log.Find("num_tokens");
  const StageEval* before = StartEval(run, log.name);
  const StageEval* after = run.EvalOfModel(log.name);
  if (before == nullptr || after == nullptr || log.step.empty()) return points;
  if (std::isnan(before->Get(name)) || std::isnan(after->Get(name))) return points;
  points.step = {std::min(0.0, log.step.front()), log.step.back()};
  points.tokens = {tokens == nullptr ? kMissing : 0, tokens == nullptr ? kMissing : tokens->back()};
  points.y = {before->Get(name), after->Get(name)};
  return points;
}

Points PointsOf(const Series& series, const CurveMetric& metric) {
  constexpr std::string_view kResults = "results:";
  const std::string_view name = metric.name;
  const StageLog& log = *series.log;
  if (name.substr(0, kResults.size()) == kResults) {
    return ResultPoints(*series.run, log, name.substr(kResults.size()));
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

std::vector<DrawnCurve> CurvesOf(const std::vector<Series>& series, const Panel& panel) {
  std::vector<DrawnCurve> drawn;
  size_t style = 0;  // of the metric, counting those that any series has
  const bool many = series.size() > 1, named = panel.metrics.size() > 1;
  for (const CurveMetric& metric : panel.metrics) {
    bool any = false;
    for (size_t s = 0; s < series.size(); ++s) {
      DrawnCurve curve;
      curve.points = PointsOf(series[s], metric);
      if (!HasValue(curve.points, panel.only_nonzero)) continue;
      any = true;
      curve.style.label = many ? series[s].label + (named ? ": " + std::string(metric.label) : "") : metric.label;
      curve.style.kind = metric.kind;
      curve.style.color = static_cast<int>((many ? s : style) % kCurveColors);
      // Many series of one metric: the dash tells neighbours apart as the colour does.
      curve.style.dash = static_cast<int>(many && !named && series.size() > 3 ? s % 4 : std::min<size_t>(style, 2));
      drawn.push_back(std::move(curve));
    }
    style += any ? 1 : 0;
  }
  return drawn;
}

// Majority votes of the models that the series start from.
void AddBaseLines(const std::vector<Series>& series, Chart* chart) {
  for (const char* metric : {"cons@16", "cons@64"}) {
    double sum = 0;
    int count = 0;
    std::string title;
    for (const Series& one : series) {
      const StageEval* base = StartEval(*one.run, one.log->name);
      if (base == nullptr || std::isnan(base->Get(metric))) continue;
      sum += base->Get(metric);
      title = base->name == "base" ? "base" : StageTitle(base->name);
      ++count;
    }
    if (count == 0) continue;
    const std::string who = count > 1 ? title + " (mean of " + std::to_string(count) + ")" : title;
    chart->references.push_back(
        {.label = who + ", majority of " + (metric + 5) + ": " + PercentText(sum / count), .y = sum / count});
  }
}

Chart ChartOf(const std::vector<Series>& series, const Panel& panel, const std::vector<DrawnCurve>& drawn,
              const char* step_name, XAxis axis) {
  Chart chart;
  chart.x_label = axis == XAxis::kTokens ? "tokens" : step_name;
  chart.y_label = panel.y_label;
  chart.unit = panel.unit;
  chart.from_zero = panel.from_zero;
  chart.y_max = panel.y_max;
  chart.references = panel.references;
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
  if (panel.base_lines) AddBaseLines(series, &chart);
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

// What the read-out script needs: per curve the values at some steps.
std::string ReadOutJson(const Panel& panel, const std::vector<DrawnCurve>& drawn, const char* step_name, size_t limit) {
  nlohmann::json curves = nlohmann::json::array();
  for (const DrawnCurve& curve : drawn) {
    const std::vector<size_t> keep = Thin(curve.points.y.size(), limit);
    nlohmann::json entry = {{"label", curve.style.label},
                            {"color", curve.style.color},
                            {"step", NumbersJson(curve.points.step, keep)},
                            {"y", NumbersJson(curve.points.y, keep)}};
    if (HasTokens(curve.points)) entry["tokens"] = NumbersJson(curve.points.tokens, keep);
    const size_t window = curve.style.kind == CurveKind::kSmoothed ? SmoothingWindow(curve.points.y.size()) : 1;
    if (window > 1) entry["mean"] = NumbersJson(MovingAverage(curve.points.y, window), keep);
    curves.push_back(std::move(entry));
  }
  const nlohmann::json data = {
      {"percent", panel.unit == AxisUnit::kPercent}, {"step", step_name}, {"curves", std::move(curves)}};
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

std::vector<Series> FirstRlSeries(const std::vector<RunData>& runs) {
  std::vector<Series> series;
  for (const RunData& run : runs) {
    if (const StageLog* log = run.RlStage()) series.push_back({&run, log, run.label});
  }
  return series;
}

Chart SharedChart(const std::vector<RunData>& runs, const char* title, XAxis axis) {
  return PanelChart(FirstRlSeries(runs), RlPanel(title), "RL step", axis);
}

bool IsRl(const StageLog& log) { return log.Find("reward") != nullptr; }

// Names of the RL stages of all runs, in order, without those that are drawn together in a section of their own.
std::vector<std::string> RlStageNames(const std::vector<RunData>& runs) {
  std::vector<std::string> names, elsewhere;
  for (const RunData& run : runs) {
    const RunGroup group = {&run};
    for (const Comparison& comparison : ComparisonsOf(group)) {
      elsewhere.insert(elsewhere.end(), comparison.stages.begin(), comparison.stages.end());
    }
    for (const BaseCell& cell : BaseGridOf(group)) elsewhere.push_back(cell.rl);
  }
  for (const RunData& run : runs) {
    for (const StageLog& log : run.stages) {
      const auto in = [&](const std::vector<std::string>& list) {
        return std::find(list.begin(), list.end(), log.name) != list.end();
      };
      if (IsRl(log) && !in(names) && !in(elsewhere)) names.push_back(log.name);
    }
  }
  return names;
}

std::string Charts(const std::string& figures) {
  return figures.empty() ? "" : "<div class=\"charts\">" + figures + "</div>";
}

// All panels of one RL stage; of several stages the leading ones, with the others in a fold.
std::string RlBlock(const std::vector<Series>& series, const std::string& heading, bool alone, bool hero) {
  std::string lead, more;
  for (const Panel& panel : RlPanels()) {
    const bool large = hero && lead.empty() && std::string_view(panel.title) == "Accuracy";
    const std::string figure = FigureHtml(series, panel, "RL step", large ? FigureSize::kHero : FigureSize::kSmall);
    (alone || panel.lead ? lead : more) += figure;
  }
  if (lead.empty() && more.empty()) return "";
  std::string out = "<h3 class=\"phase\">" + EscapeHtml(heading) + "</h3>" + Charts(lead);
  if (!more.empty()) {
    out += "<details class=\"more\"><summary>More curves of " + EscapeHtml(heading) + "</summary>" + Charts(more) +
           "</details>";
  }
  return out;
}

// Loss curves of the stages of one kind.
std::vector<Series> KindSeries(const std::vector<RunData>& runs, std::string_view kind) {
  std::vector<Series> series;
  for (const RunData& run : runs) {
    for (const StageLog& log : run.stages) {
      const PipelineStage* stage = run.FindStage(log.name);
      if (stage == nullptr || stage->kind != kind || IsRl(log)) continue;
      const std::string title = StageTitle(log.name);
      series.push_back({&run, &log, runs.size() > 1 ? run.label + ", " + title : title});
    }
  }
  return series;
}

std::string SupervisedBlock(const std::vector<RunData>& runs) {
  std::string figures;
  for (const Panel& panel : LossPanels()) {
    const bool tuning = std::string_view(panel.title) == "Fine-tuning loss";
    figures += FigureHtml(KindSeries(runs, tuning ? "sft" : "rm"), panel, "step", FigureSize::kSmall);
  }
  if (figures.empty()) return "";
  return "<h3 class=\"phase\">Supervised stages</h3>" + Charts(figures);
}

std::string PretrainBlock(const std::vector<RunData>& runs) {
  std::vector<Series> series = KindSeries(runs, "pretrain");
  if (series.empty()) {
    for (const RunData& run : runs) {
      if (const StageLog* log = run.PretrainStage()) series.push_back({&run, log, run.label});
    }
  }
  std::string figures;
  for (const Panel& panel : PretrainPanels()) {
    figures += FigureHtml(series, panel, "pretraining step", FigureSize::kSmall);
  }
  return figures.empty() ? "" : "<h3 class=\"phase\">Pretraining</h3>" + Charts(figures);
}

}  // namespace

const StageEval* StartEval(const RunData& run, const std::string& stage) {
  const PipelineStage* entry = run.FindStage(stage);
  if (entry == nullptr || entry->model.empty()) return run.FindEval("base");
  const StageEval* eval = run.EvalOfModel(entry->model);
  return eval == nullptr && entry->model == "pretrain" ? run.FindEval("base") : eval;
}

Chart PanelChart(const std::vector<Series>& series, const Panel& panel, const char* step_name, XAxis axis) {
  return ChartOf(series, panel, CurvesOf(series, panel), step_name, axis);
}

std::string FigureHtml(const std::vector<Series>& series, const Panel& panel, const char* step_name, FigureSize size) {
  const std::vector<DrawnCurve> drawn = CurvesOf(series, panel);
  if (drawn.empty()) return "";
  const bool hero = size == FigureSize::kHero;
  std::string narrow, wide;
  for (const XAxis axis : {XAxis::kSteps, XAxis::kTokens}) {
    Chart chart = ChartOf(series, panel, drawn, step_name, axis);
    const std::string by = axis == XAxis::kSteps ? "by-step" : "by-tokens";
    if (chart.curves.empty()) {
      const std::string none = "<p class=\"none " + by + "\">These runs log no token counts for this chart.</p>";
      narrow += none;
      wide += none;
      continue;
    }
    chart.width = 400, chart.height = hero ? 290 : 250;
    narrow += ChartSvg(chart, "class=\"" + by + "\"");
    if (!hero) continue;
    chart.width = 1000, chart.height = 380;
    wide += ChartSvg(chart, "class=\"" + by + "\"");
  }
  const std::string plots =
      hero ? "<div class=\"narrow\">" + narrow + "</div><div class=\"wide\">" + wide + "</div>" : narrow;
  std::string caption = panel.caption;
  if (const std::string note = SmoothingNote(drawn); !note.empty()) caption += (caption.empty() ? "" : " ") + note;
  return std::string("<figure class=\"chart") + (hero ? " hero" : "") + "\"><h3>" + EscapeHtml(panel.title) + "</h3>" +
         plots + "<figcaption>" + EscapeHtml(caption) + "</figcaption><script type=\"application/json\">" +
         ReadOutJson(panel, drawn, step_name, hero ? kMaxReadOuts : kSmallReadOuts) + "</script></figure>";
}

std::string AxisSwitch() {
  return "<p class=\"axes\"><label for=\"axis-step\">against steps</label><label for=\"axis-tokens\">against "
         "tokens</label></p>";
}

Chart AccuracyChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Accuracy", axis); }
Chart LengthChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Reply length", axis); }
Chart LanguageChart(const std::vector<RunData>& runs, XAxis axis) { return SharedChart(runs, "Language", axis); }

std::string CurvesSection(const std::vector<RunData>& runs) {
  std::string out;
  const std::vector<std::string> names = RlStageNames(runs);
  const bool one_each = std::all_of(runs.begin(), runs.end(), [](const RunData& run) {
    return std::count_if(run.stages.begin(), run.stages.end(), IsRl) <= 1;
  });
  if (one_each && !names.empty()) {
    out = RlBlock(FirstRlSeries(runs), "Reinforcement learning", true, true);
  } else {
    for (const std::string& name : names) {
      std::vector<Series> series;
      for (const RunData& run : runs) {
        if (const StageLog* log = run.FindLog(name); log != nullptr && IsRl(*log)) {
          series.push_back({&run, log, run.label});
        }
      }
      out += RlBlock(series, StageTitle(name) + ": reinforcement learning", false, out.empty());
    }
  }
  out += SupervisedBlock(runs) + PretrainBlock(runs);
  if (out.empty()) return "";
  return "<section id=\"curves\"><h2>Curves</h2>" + AxisSwitch() + out + "</section>";
}

}  // namespace r1
