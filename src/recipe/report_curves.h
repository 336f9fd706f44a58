// Figures with curves from the metrics of stages: over steps and over tokens, with the data that the page's script
// reads out. One series: colour tells the metrics of a figure apart. Several (runs, or stages): colour is the series,
// dash the metric.
#pragma once

#include <string>
#include <vector>

#include "recipe/report_data.h"
#include "recipe/report_svg.h"

namespace r1 {

enum class XAxis { kSteps, kTokens };

struct CurveMetric {
  const char* name;  // column of metrics.jsonl; "results:NAME": the evaluations before and after the stage
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
  std::vector<CurveMetric> metrics = {};
  bool base_lines = false;                     // majority votes of the model that the stage starts from
  bool only_nonzero = false;                   // left out when every value is zero
  bool lead = false;                           // shown first for each stage of a pipeline
  std::vector<ReferenceLine> references = {};  // further lines
};

const std::vector<Panel>& RlPanels();
const std::vector<Panel>& PretrainPanels();
const std::vector<Panel>& LossPanels();  // of fine-tuning and reward models
const Panel& RlPanel(std::string_view title);

struct Series {
  const RunData* run = nullptr;
  const StageLog* log = nullptr;
  std::string label;
};

enum class FigureSize { kSmall, kHero };

// "" if no series has a number for the panel. step_name: "RL step".
std::string FigureHtml(const std::vector<Series>& series, const Panel& panel, const char* step_name, FigureSize size);
Chart PanelChart(const std::vector<Series>& series, const Panel& panel, const char* step_name, XAxis axis);

// The evaluation of the weights that a stage starts from; nullptr if there is none.
const StageEval* StartEval(const RunData& run, const std::string& stage);

// The switch between steps and tokens, once a section that has charts.
std::string AxisSwitch();

// The charts that the README's picture shares with the page, of the first RL stage of each run. Without curves if no
// run has the metrics.
Chart AccuracyChart(const std::vector<RunData>& runs, XAxis axis);
Chart LengthChart(const std::vector<RunData>& runs, XAxis axis);
Chart LanguageChart(const std::vector<RunData>& runs, XAxis axis);

std::string CurvesSection(const std::vector<RunData>& runs);

}  // namespace r1
