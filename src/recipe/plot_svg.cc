#include "recipe/plot_svg.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "recipe/report_curves.h"
#include "recipe/report_data.h"
#include "recipe/report_html.h"

namespace r1 {
namespace {

constexpr double kWidth = 900, kAccuracyHeight = 330, kSmallHeight = 240, kGap = 24, kMargin = 14, kTitle = 22;

// A chart as a nested <svg> at (x, y) under its title. Empty charts give "".
std::string Placed(const Chart& chart, const char* title, double x, double y) {
  const std::string svg = ChartSvg(chart, fmt::format("x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\"", x,
                                                      y + kTitle, chart.width, ChartHeight(chart)));
  if (svg.empty()) return "";
  return fmt::format("<text class=\"head\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>", x + 2, y + 14, EscapeHtml(title)) +
         svg;
}

Chart Sized(Chart chart, double width, double height) {
  chart.width = width;
  chart.height = height;
  return chart;
}

}  // namespace

Result<std::string> RenderCurvesSvg(const std::vector<std::string>& run_dirs) {
  R1_ASSIGN(const std::vector<RunData> runs, ReadRuns(run_dirs));
  const double half = (kWidth - 2 * kMargin - kGap) / 2;
  const Chart accuracy = Sized(AccuracyChart(runs, XAxis::kSteps), kWidth - 2 * kMargin, kAccuracyHeight);
  const Chart length = Sized(LengthChart(runs, XAxis::kSteps), half, kSmallHeight);
  const Chart language = Sized(LanguageChart(runs, XAxis::kSteps), half, kSmallHeight);
  const double second = kMargin + kTitle + ChartHeight(accuracy) + kGap / 2;
  const double height = second + kTitle + std::max(ChartHeight(length), ChartHeight(language)) + kMargin;
  const std::string body = Placed(accuracy, "Accuracy", kMargin, kMargin) +
                           Placed(length, "Reply length", kMargin, second) +
                           Placed(language, "Language", kMargin + half + kGap, second);
  if (body.empty()) {
    return Error{ErrorCode::kBadInput,
                 "these runs log neither accuracy nor length nor language: there is no curve to draw"};
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\">"
      "<style>{2}.head{{font-size:13px;font-weight:600;fill:var(--ink)}}svg "
      ".head{{fill:var(--ink);font-size:13px}}</style>"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" rx=\"10\" fill=\"var(--paper)\"/>{3}</svg>\n",
      kWidth, height, ChartStyle(), body);
}

Status WriteCurvesSvg(const std::vector<std::string>& run_dirs, const std::string& out_path) {
  R1_ASSIGN(const std::string picture, RenderCurvesSvg(run_dirs));
  return WriteFileAtomic(out_path, picture);
}

}  // namespace r1
