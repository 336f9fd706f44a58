// Line charts as SVG text: linear axes with round ticks and units, curves with a faint line of
// every step under a smoothed one, points for sparse measurements, dashed reference lines with
// labels, a legend. Colours are CSS variables --c0 .. --c11 and
// --ink, --dim, --grid, --paper of the page (or of ChartStyle() in a stand-alone file), so light
// and dark schemes both work. Shape carries the meaning too (solid, dashed, dotted, markers):
// colour alone never does.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace r1 {

// kSmoothed: raw faint plus moving average; kPoints: line with markers; kMarkers: markers alone.
enum class CurveKind { kSmoothed, kLine, kPoints, kMarkers };
inline constexpr int kCurveColors = 12;
enum class AxisUnit { kNumber, kPercent };

struct Curve {
  std::string label;
  CurveKind kind = CurveKind::kSmoothed;
  int color = 0;          // 0 .. kCurveColors - 1
  int dash = 0;           // 0 solid, 1 dashed, 2 dotted, 3 dash and dot
  std::vector<double> x;  // increasing; same length as y
  std::vector<double> y;  // NaN: gap
};

struct ReferenceLine {
  std::string label;
  double y = 0;
  int color = -1;  // -1: neutral
};

struct Chart {
  std::string label = {};  // for screen readers
  std::string x_label;
  std::string y_label;
  AxisUnit unit = AxisUnit::kNumber;  // of y
  AxisUnit x_unit = AxisUnit::kNumber;
  bool from_zero = true;  // the y axis shows zero
  double y_max = -1;      // >= 0: fixed upper end
  double width = 400;
  double height = 250;  // with one row of legend; more rows add to it
  std::vector<Curve> curves = {};
  std::vector<ReferenceLine> references = {};
};

// Centred moving average; the window shrinks towards the ends so that it stays centred; NaN is
// skipped and stays NaN.
std::vector<double> MovingAverage(const std::vector<double>& y, size_t window);
// The window used for a curve of n steps: 1 (none) below 20 steps, else about n/25, odd, 3 to 51.
size_t SmoothingWindow(size_t n);
// Round tick positions that cover [low, high]: steps of 1, 2, 2.5 or 5 times a power of ten, about
// `wanted` of them.
std::vector<double> NiceTicks(double low, double high, int wanted);

// Indices of at most `limit` points: all of them, or an even choice that keeps the first and the
// last.
std::vector<size_t> Thin(size_t n, size_t limit);

// The <svg> element. The plot's area and ranges are in data-* attributes for the page's read-out
// script. attributes is put into the tag as it is, e.g. class="wide". Empty if no curve has a
// point.
std::string ChartSvg(const Chart& chart, std::string_view attributes = "");

// The height that ChartSvg gives the chart: its own, and more for a legend of several rows.
double ChartHeight(const Chart& chart);

// Definitions of the colour variables --c0 .. --c11 for a light and for a dark page.
std::string_view LightColors();
std::string_view DarkColors();

// The rules that the classes in a chart need, for a page that sets the variables itself.
std::string_view ChartRules();
// The whole style sheet of a chart that stands alone: variables of both colour schemes and the
// rules.
std::string ChartStyle();

}  // namespace r1
