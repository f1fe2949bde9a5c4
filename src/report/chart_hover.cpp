// What a chart shows where the pointer is: for each of some 80 steps an invisible zone, and in it a hidden group with a
// rule, rings on the lines and a box of values, made visible by :hover. The zone's <title> says the same where a
// viewer of the file knows no CSS.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/chart_layout.h"
#include "report/html.h"

namespace capstan::report {
namespace {

constexpr int kZones = 80;
constexpr double kLine = 16;

struct Row {
  const ChartSeries* series;
  CurvePoint point;
};

// The steps that get a zone: all where they are few, else one for each stretch of the axis.
std::vector<double> places_of(const ChartLayout& layout) {
  std::set<double> all;
  for (const ChartSeries& series : layout.chart.series)
    if (!series.faint)
      for (const CurvePoint& point : series.points) all.insert(point.x);
  if (all.size() <= kZones) return {all.begin(), all.end()};
  std::vector<double> places;
  const double stretch = (layout.right - layout.left) / kZones;
  for (int zone = 0; zone < kZones; ++zone) {
    const double middle = layout.x.invert(layout.left + (zone + 0.5) * stretch);
    auto next = all.lower_bound(middle);
    if (next == all.end() || (next != all.begin() && middle - *std::prev(next) < *next - middle)) --next;
    if (places.empty() || places.back() < *next) places.push_back(*next);
  }
  return places;
}

std::vector<Row> rows_at(const ChartLayout& layout, double place, double first, double last) {
  std::vector<Row> rows;
  for (const ChartSeries& series : layout.chart.series) {
    if (series.faint || series.points.empty()) continue;
    const auto nearer = [place](const CurvePoint& a, const CurvePoint& b) {
      return std::fabs(a.x - place) < std::fabs(b.x - place);
    };
    const auto next = std::lower_bound(series.points.begin(), series.points.end(), place,
                                       [](const CurvePoint& point, double x) { return point.x < x; });
    CurvePoint best = next == series.points.end() ? series.points.back() : *next;
    if (next != series.points.begin() && nearer(*std::prev(next), best)) best = *std::prev(next);
    if (best.x >= first && best.x <= last) rows.push_back({&series, best});
  }
  return rows;
}

std::string box(const ChartLayout& layout, double x, const std::string& head, const std::vector<Row>& rows) {
  double names = text_width(head), values = 0;
  for (const Row& row : rows) {
    names = std::max(names, text_width(row.series->name) + 14);
    values = std::max(values, text_width(format_number(row.point.y)));
  }
  const double width = names + values + 32;
  const double height = kLine * static_cast<double>(rows.size() + 1) + 10;
  const double left = x + 12 + width < layout.right ? x + 12 : x - 12 - width;
  const double top = layout.top + 4;
  std::string text = fmt::format(
      "<rect class=\"box\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"5\"/>"
      "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
      left, top, width, height, left + 9, top + kLine, head);
  double y = top + 2 * kLine;
  for (const Row& row : rows) {
    text += fmt::format(
        "<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/><text class=\"name\" x=\"{:.1f}\" "
        "y=\"{:.1f}\">{}</text><text class=\"value\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
        row.series->colour % 8, left + 12.5, y - 4, left + 21, y, escape_html(row.series->name), left + width - 9, y,
        format_number(row.point.y));
    y += kLine;
  }
  return text;
}

std::string zone(const ChartLayout& layout, double place, double first, double last) {
  const std::vector<Row> rows = rows_at(layout, place, first, last);
  const std::string head = fmt::format("step {}", format_number(place));
  std::string title = head;
  for (const Row& row : rows)
    title += fmt::format("\n{}: {}", escape_html(row.series->name), format_number(row.point.y));
  const double x = layout.x(place);
  const double left = std::max(layout.x(first), layout.left), right = std::min(layout.x(last), layout.right);
  std::string text = fmt::format(
      "<g class=\"at\"><rect class=\"zone\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}"
      "</title></rect><g class=\"tip\"><line class=\"rule\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
      left, layout.top, std::max(right - left, 0.5), layout.bottom - layout.top, title, x, x, layout.top,
      layout.bottom);
  for (const Row& row : rows)
    text += fmt::format("<circle class=\"ring c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>", row.series->colour % 8,
                        layout.x(row.point.x), layout.y(row.point.y));
  return text + box(layout, x, head, rows) + "</g></g>\n";
}

}  // namespace

std::string hover_zones(const ChartLayout& layout) {
  const std::vector<double> places = places_of(layout);
  std::string text;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double first = i == 0 ? layout.x.low() : (places[i - 1] + places[i]) / 2;
    const double last = i + 1 == places.size() ? layout.x.high() : (places[i] + places[i + 1]) / 2;
    text += zone(layout, places[i], first, last);
  }
  return text;
}

}  // namespace capstan::report
