#include "recipe/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "recipe/report_html.h"

namespace r1 {
namespace {

constexpr double kFont = 11;
constexpr double kCharWidth = 6.2;                         // mean advance of a system sans at 11 px; only for layout
constexpr size_t kMaxPoints = 600, kMaxSmallPoints = 200;  // of a curve, on a wide and on a small chart
constexpr double kOneRowLegend = 18;                       // its height

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Add(double v) {
    if (std::isnan(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
};

// Columns a text takes: wide characters (CJK and beyond) count twice.
double TextWidth(std::string_view text) {
  double columns = 0;
  for (const char ch : text) {
    const auto c = static_cast<unsigned char>(ch);
    if ((c & 0xc0) == 0x80) continue;
    columns += c >= 0xe3 ? 1.8 : 1;
  }
  return columns * kCharWidth;
}

std::string TickText(double value, double step, AxisUnit unit) {
  if (unit == AxisUnit::kPercent) {
    const int decimals = step < 0.0095 ? (step < 0.00095 ? 2 : 1) : 0;
    return fmt::format("{:.{}f}", 100 * value, decimals);
  }
  if (std::abs(value) < step * 1e-6) return "0";
  return CompactText(value);
}

struct Frame {
  double left, right, top, bottom;  // pixels of the plot area
  size_t max_points;
  Range x, y;
  double X(double v) const { return left + (v - x.low) / (x.high - x.low) * (right - left); }
  double Y(double v) const { return bottom - (v - y.low) / (y.high - y.low) * (bottom - top); }
};

const char* DashClass(int dash) { return dash == 1 ? " d1" : dash == 2 ? " d2" : dash == 3 ? " d3" : ""; }

// One polyline per stretch without gaps.
void AppendLine(std::string* out, const Frame& f, const std::vector<double>& x, const std::vector<double>& y,
                const std::string& classes) {
  std::string points;
  int count = 0;
  const auto flush = [&] {
    if (count == 1) points += " " + points;  // a lone point: round caps make it visible
    if (count > 0) *out += fmt::format("<polyline class=\"{}\" points=\"{}\"/>", classes, points);
    points.clear();
    count = 0;
  };
  for (const size_t i : Thin(x.size(), f.max_points)) {
    if (std::isnan(y[i])) {
      flush();
      continue;
    }
    if (count++ > 0) points += ' ';
    points += fmt::format("{:.1f},{:.1f}", f.X(x[i]), f.Y(y[i]));
  }
  flush();
}

bool HasMarkers(const Curve& curve) { return curve.kind == CurveKind::kPoints || curve.kind == CurveKind::kMarkers; }

void AppendCurve(std::string* out, const Frame& f, const Curve& curve) {
  const std::string color = fmt::format("k{}", curve.color);
  if (HasMarkers(curve)) {
    if (curve.kind == CurveKind::kPoints) {
      AppendLine(out, f, curve.x, curve.y, "line " + color + DashClass(curve.dash));
    }
    for (size_t i = 0; i < curve.x.size(); ++i) {
      if (std::isnan(curve.y[i])) continue;
      *out += fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\"/>", color, f.X(curve.x[i]),
                          f.Y(curve.y[i]));
    }
    return;
  }
  const size_t window = curve.kind == CurveKind::kSmoothed ? SmoothingWindow(curve.y.size()) : 1;
  if (window > 1) {
    AppendLine(out, f, curve.x, curve.y, "raw " + color);
    AppendLine(out, f, curve.x, MovingAverage(curve.y, window), "line " + color + DashClass(curve.dash));
  } else {
    AppendLine(out, f, curve.x, curve.y, "line " + color + DashClass(curve.dash));
  }
}

// Legend rows above the plot; returns their height.
double AppendLegend(std::string* out, const Chart& chart) {
  double x = 4, y = 12;
  for (const Curve& curve : chart.curves) {
    const double width = 26 + TextWidth(curve.label) + 12;
    if (x > 4 && x + width > chart.width) {
      x = 4;
      y += 16;
    }
    if (curve.kind != CurveKind::kMarkers) {
      *out += fmt::format("<line class=\"line k{}{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>",
                          curve.color, DashClass(curve.dash), x, y - 4, x + 20, y - 4);
    }
    if (HasMarkers(curve)) {
      *out +=
          fmt::format("<circle class=\"dot k{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\"/>", curve.color, x + 10, y - 4);
    }
    *out += fmt::format("<text class=\"ink\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 25, y, EscapeHtml(curve.label));
    x += width;
  }
  return y + 6;
}

// Points of curves inside a box: how much a label there would hide.
size_t PointsInside(const Frame& f, const Chart& chart, double left, double right, double top, double bottom) {
  size_t count = 0;
  for (const Curve& curve : chart.curves) {
    for (const size_t i : Thin(curve.x.size(), f.max_points)) {
      if (std::isnan(curve.y[i])) continue;
      const double x = f.X(curve.x[i]), y = f.Y(curve.y[i]);
      count += x >= left && x <= right && y >= top && y <= bottom ? 1 : 0;
    }
  }
  return count;
}

void AppendReferences(std::string* out, const Frame& f, const Chart& chart) {
  std::vector<ReferenceLine> lines = chart.references;
  std::sort(lines.begin(), lines.end(), [](const ReferenceLine& a, const ReferenceLine& b) { return a.y < b.y; });
  double last_label = std::numeric_limits<double>::infinity();
  for (const ReferenceLine& line : lines) {
    if (std::isnan(line.y) || line.y < f.y.low || line.y > f.y.high) continue;
    const double y = f.Y(line.y);
    const std::string color = line.color < 0 ? "neutral" : fmt::format("k{}", line.color);
    *out += fmt::format("<line class=\"ref {}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", color,
                        f.left, y, f.right, y);
    const double label = std::min(y - 4, last_label - 12);  // labels never cover each other
    last_label = label;
    if (label < f.top + 6) continue;
    const double width = TextWidth(line.label), right = f.right - 3 - width, middle = (f.left + f.right - width) / 2;
    double best = right;
    size_t least = std::numeric_limits<size_t>::max();
    for (const double left : {right, f.left + 6, middle}) {
      const size_t hidden = PointsInside(f, chart, left, left + width, label - 11, label + 4);
      if (hidden >= least) continue;
      least = hidden;
      best = left;
    }
    *out += fmt::format("<text class=\"reflabel\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", best, label,
                        EscapeHtml(line.label));
  }
}

void AppendAxes(std::string* out, const Frame& f, const Chart& chart, const std::vector<double>& x_ticks,
                const std::vector<double>& y_ticks) {
  const double y_step = y_ticks.size() > 1 ? y_ticks[1] - y_ticks[0] : 1;
  for (const double tick : y_ticks) {
    const double y = f.Y(tick);
    *out += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", f.left, y,
                        f.right, y);
    *out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", f.left - 5,
                        y + 3.8, TickText(tick, y_step, chart.unit));
  }
  *out += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", f.left,
                      f.bottom, f.right, f.bottom);
  const double x_step = x_ticks.size() > 1 ? x_ticks[1] - x_ticks[0] : 1;
  for (const double tick : x_ticks) {
    if (tick < f.x.low - 1e-9 * x_step || tick > f.x.high + 1e-9 * x_step) continue;
    const double x = f.X(tick);
    *out += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", x, f.bottom,
                        x, f.bottom + 4);
    *out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", x,
                        f.bottom + 15, TickText(tick, x_step, chart.x_unit));
  }
  *out += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                      (f.left + f.right) / 2, f.bottom + 30, EscapeHtml(chart.x_label));
  *out += fmt::format("<text class=\"title\" x=\"4\" y=\"{:.1f}\">{}</text>", f.top - 12, EscapeHtml(chart.y_label));
}

// Ranges of both axes; the y range ends at ticks. False if there is nothing to draw.
bool FindRanges(const Chart& chart, Frame* f, std::vector<double>* x_ticks, std::vector<double>* y_ticks) {
  for (const Curve& curve : chart.curves) {
    for (size_t i = 0; i < curve.x.size(); ++i) {
      if (std::isnan(curve.y[i]) || std::isnan(curve.x[i])) continue;
      f->x.Add(curve.x[i]);
      f->y.Add(curve.y[i]);
    }
  }
  if (f->x.empty()) return false;
  for (const ReferenceLine& line : chart.references) f->y.Add(line.y);
  if (chart.from_zero) f->y.Add(0);
  if (chart.y_max >= 0) f->y.high = chart.y_max;
  if (f->x.low == f->x.high) {
    f->x.low -= 0.5;
    f->x.high += 0.5;
  }
  if (f->y.low == f->y.high) f->y.high += f->y.low == 0 ? 1 : std::abs(f->y.low) * 0.1;
  *y_ticks = NiceTicks(f->y.low, f->y.high, 5);
  f->y.low = y_ticks->front();
  f->y.high = y_ticks->back();
  *x_ticks = NiceTicks(f->x.low, f->x.high, std::clamp(static_cast<int>(chart.width / 65), 3, 10));
  return true;
}

}  // namespace

std::vector<double> MovingAverage(const std::vector<double>& y, size_t window) {
  const size_t n = y.size(), half = window / 2;
  std::vector<double> out(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t reach = std::min({half, i, n - 1 - i});
    double sum = 0;
    size_t count = 0;
    for (size_t j = i - reach; j <= i + reach; ++j) {
      if (std::isnan(y[j])) continue;
      sum += y[j];
      ++count;
    }
    out[i] =
        std::isnan(y[i]) || count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
  }
  return out;
}

size_t SmoothingWindow(size_t n) { return n < 20 ? 1 : std::clamp<size_t>((n / 25) | 1, 3, 51); }

std::vector<double> NiceTicks(double low, double high, int wanted) {
  const double rough = (high - low) / std::max(1, wanted);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * 0.999) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  for (double i = first; i <= first + 4 * wanted + 4; ++i) {
    ticks.push_back(i * step);
    if (i * step >= high - step * 1e-6) break;
  }
  return ticks;
}

std::vector<size_t> Thin(size_t n, size_t limit) {
  std::vector<size_t> keep;
  if (n <= limit) {
    for (size_t i = 0; i < n; ++i) keep.push_back(i);
    return keep;
  }
  for (size_t i = 0; i < limit; ++i) keep.push_back(i * (n - 1) / (limit - 1));
  return keep;
}

double ChartHeight(const Chart& chart) {
  std::string legend;
  return chart.height + std::max(0.0, AppendLegend(&legend, chart) - kOneRowLegend);
}

std::string ChartSvg(const Chart& chart, std::string_view attributes) {
  Frame f{};
  std::vector<double> x_ticks, y_ticks;
  if (!FindRanges(chart, &f, &x_ticks, &y_ticks)) return "";
  std::string legend;
  const double legend_height = AppendLegend(&legend, chart);
  const double height =
      chart.height + std::max(0.0, legend_height - kOneRowLegend);  // a long legend does not squeeze the plot
  const double y_step = y_ticks.size() > 1 ? y_ticks[1] - y_ticks[0] : 1;
  double tick_width = 0;
  for (const double tick : y_ticks) tick_width = std::max(tick_width, TextWidth(TickText(tick, y_step, chart.unit)));
  f.max_points = chart.width > 500 ? kMaxPoints : kMaxSmallPoints;
  f.left = tick_width + 10;
  f.right = chart.width - 12;
  f.top = legend_height + 28;
  f.bottom = height - 36;

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\" font-size=\"{:.0f}\" "
      "data-box=\"{:.1f} {:.1f} {:.1f} {:.1f}\" data-range=\"{:.17g} {:.17g} {:.17g} "
      "{:.17g}\"{}{}>",
      chart.width, height, EscapeHtml(chart.label), kFont, f.left, f.right, f.top, f.bottom, f.x.low, f.x.high, f.y.low,
      f.y.high, attributes.empty() ? "" : " ", attributes);
  out += legend;
  AppendAxes(&out, f, chart, x_ticks, y_ticks);
  for (const Curve& curve : chart.curves) AppendCurve(&out, f, curve);
  AppendReferences(&out, f, chart);
  return out + "</svg>";
}

std::string_view ChartRules() {
  return "svg text{fill:var(--dim);font-size:11px;stroke:none}svg .ink{fill:var(--ink)}"
         "svg "
         ".reflabel{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}"
         ".grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--dim);stroke-width:1}"
         ".line,.raw{fill:none;stroke-linejoin:round;stroke-linecap:round}.line{stroke-width:2}."
         "raw{stroke-width:1;opacity:.32}"
         ".d1{stroke-dasharray:7 4}.d2{stroke-dasharray:1.5 "
         "4}.ref{stroke-width:1.2;stroke-dasharray:4 4}.neutral{stroke:var(--dim)}"
         ".d3{stroke-dasharray:9 3 2 3}"
         ".k0{stroke:var(--c0)}.k1{stroke:var(--c1)}.k2{stroke:var(--c2)}.k3{stroke:var(--c3)}.k4{stroke:var(--c4)}"
         ".k5{stroke:var(--c5)}.k6{stroke:var(--c6)}.k7{stroke:var(--c7)}.k8{stroke:var(--c8)}.k9{stroke:var(--c9)}"
         ".k10{stroke:var(--c10)}.k11{stroke:var(--c11)}"
         ".dot{stroke-width:1.6;fill:var(--paper)}";
}

std::string_view LightColors() {
  return "--c0:#0b62b8;--c1:#c2410c;--c2:#0b7a5c;--c3:#9a3aa8;--c4:#8a6500;--c5:#4d5a6b;"
         "--c6:#c01c58;--c7:#1a7f8e;--c8:#5a7d12;--c9:#5b4fcf;--c10:#a0522d;--c11:#111827;";
}

std::string_view DarkColors() {
  return "--c0:#6cb2ff;--c1:#ff9a5c;--c2:#4fd1a5;--c3:#e39af0;--c4:#e5c04d;--c5:#b4c0cf;"
         "--c6:#ff7fa8;--c7:#5fd4e6;--c8:#b5d85c;--c9:#a79bff;--c10:#d9a384;--c11:#f3f4f6;";
}

std::string ChartStyle() {
  return "svg{--paper:#fff;--ink:#1c2430;--dim:#5b6675;--grid:#e3e7ec;" + std::string(LightColors()) +
         "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}"
         "@media(prefers-color-scheme:dark){svg{--paper:#11161d;--ink:#e6ebf2;--dim:#9fabbb;--grid:#29323e;" +
         std::string(DarkColors()) + "}}" + std::string(ChartRules());
}

}  // namespace r1
