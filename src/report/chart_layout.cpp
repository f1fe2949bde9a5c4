#include "report/chart_layout.h"

#include <algorithm>
#include <cmath>

#include "report/html.h"

namespace capstan::report {
namespace {

constexpr double kCharacter = 6.7;  // of 12 px system fonts, digits

struct Range {
  double low = 0, high = 0;
  bool empty = true;

  void take(double value) {
    low = empty ? value : std::min(low, value);
    high = empty ? value : std::max(high, value);
    empty = false;
  }
};

bool wants_log(Chart::Scale scale, const Range& y) {
  if (scale == Chart::Scale::kLinear || y.low <= 0) return false;
  return scale == Chart::Scale::kLog || y.high > 5 * y.low;
}

}  // namespace

double text_width(std::string_view text) {
  const auto characters = std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  return kCharacter * static_cast<double>(characters);
}

std::string tick_label(double tick) {
  const double size = std::fabs(tick);
  return size >= 1000 && size < 1e15 ? format_count(tick) : format_number(tick);
}

ChartLayout lay_out(const Chart& chart) {
  constexpr double kTitle = 38, kLegend = 20;
  constexpr double kBottom = 30;  // labels of the steps
  constexpr double kRight = 18;
  Range x, y;
  for (const ChartSeries& series : chart.series) {
    for (const CurvePoint& point : series.points) {
      x.take(point.x);
      y.take(point.y);
    }
  }
  const bool has_legend = std::count_if(chart.series.begin(), chart.series.end(),
                                        [](const ChartSeries& series) { return !series.faint; }) > 1;
  const double top = has_legend ? kTitle + kLegend : kTitle;
  const double bottom = chart.height - kBottom;
  const Scale y_scale = value_scale(y.low, y.high, bottom, top, wants_log(chart.scale, y));
  const std::vector<double> ticks = y_scale.ticks(static_cast<int>((bottom - top) / 36));
  double widest = 0;
  for (const double tick : ticks) widest = std::max(widest, text_width(tick_label(tick)));
  const double left = std::max(46.0, widest + 16);
  const double right = chart.width - kRight;
  // From the start of the run where that is near, so that charts of one run stand in line.
  if (x.low < 0.25 * x.high) x.low = 0;
  if (x.low == x.high) x.low -= 1, x.high += 1;
  return {chart, left, right, top, bottom, Scale(x.low, x.high, left, right), y_scale, ticks, has_legend};
}

}  // namespace capstan::report
