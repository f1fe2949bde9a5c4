#include "capstan/report/chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/chart_layout.h"
#include "report/html.h"

namespace capstan {
namespace {

using report::ChartLayout;
using report::escape_html;

std::string axes(const ChartLayout& layout) {
  std::string text;
  for (const double tick : layout.y_ticks)
    text += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
        layout.left, layout.right, layout.y(tick), layout.y(tick), layout.left - 8, layout.y(tick) + 4,
        report::tick_label(tick));
  text += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", layout.left,
                      layout.right, layout.bottom, layout.bottom);
  for (const double tick : layout.x.ticks(static_cast<int>((layout.right - layout.left) / 80))) {
    const double x = layout.x(tick);
    text += fmt::format(
        "<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
        x, x, layout.bottom, layout.bottom + 4, x, layout.bottom + 19, report::format_count(tick));
  }
  return text;
}

// Several within a few pixels become one, so that a thousand skipped updates stay a picture.
std::string marks(const ChartLayout& layout) {
  constexpr double kNear = 5;
  constexpr std::size_t kTold = 8;
  auto sorted = layout.chart.marks;
  std::stable_sort(sorted.begin(), sorted.end(), [](const ChartMark& a, const ChartMark& b) { return a.x < b.x; });
  // Events may lie beyond the last point of the curve.
  const auto position = [&](const ChartMark& mark) { return std::clamp(layout.x(mark.x), layout.left, layout.right); };
  std::string text;
  for (std::size_t i = 0; i < sorted.size();) {
    const double x = position(sorted[i]);
    std::string title;
    std::size_t count = 0;
    for (; i < sorted.size() && (count == 0 || position(sorted[i]) < x + kNear); ++i, ++count)
      if (count < kTold) title.append(count == 0 ? "" : "\n").append(escape_html(sorted[i].text));
    if (count > kTold) title += fmt::format("\nand {} more", count - kTold);
    text += fmt::format(
        "<g class=\"mark\"><line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>"
        "<path d=\"M{0:.1f} {1:.1f}l-4.5 -8h9z\"><title>{3}</title></path></g>\n",
        x, layout.top, layout.bottom, title);
  }
  return text;
}

std::string line(const ChartLayout& layout, const ChartSeries& series) {
  if (series.points.empty()) return "";
  const int colour = series.colour % 8;
  std::string path;
  for (const CurvePoint& point : series.points)
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", layout.x(point.x), layout.y(point.y));
  std::string text = fmt::format("<path class=\"line c{}{}\" d=\"{}\"/>\n", colour, series.faint ? " faint" : "", path);
  if (series.markers || series.points.size() == 1)
    for (const CurvePoint& point : series.points)
      text += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.8\"/>", colour,
                          layout.x(point.x), layout.y(point.y));
  return text;
}

// What does not fit beside the others is left to the values that pointing shows.
std::string legend(const ChartLayout& layout) {
  if (!layout.has_legend) return "";
  double x = layout.left;
  std::string text;
  for (const ChartSeries& series : layout.chart.series) {
    if (series.faint) continue;
    const double width = report::text_width(series.name) + 34;
    if (x + width > layout.right + 16) break;
    text += fmt::format(
        "<line class=\"line c{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"38\" y2=\"38\"/>"
        "<text class=\"name\" x=\"{:.1f}\" y=\"42\">{}</text>\n",
        series.colour % 8, x + 1, x + 15, x + 21, escape_html(series.name));
    x += width;
  }
  return text;
}

std::string heading(const Chart& chart, bool logarithmic) {
  const std::string note = chart.unit + (logarithmic ? (chart.unit.empty() ? "log scale" : ", log scale") : "");
  return fmt::format(
      "<text class=\"title\" x=\"12\" y=\"20\">{}<tspan dx=\"8\" style=\"font:12px system-ui,sans-serif;"
      "fill:var(--mute)\">{}</tspan></text>\n",
      escape_html(chart.title), escape_html(note));
}

}  // namespace

std::string svg_chart(const Chart& chart, bool own_style) {
  std::string text = fmt::format(
      "<svg class=\"cc\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
      chart.width, chart.height, escape_html(chart.title));
  if (own_style) text += fmt::format("<style>\n{}</style>\n", chart_style());
  const bool empty = std::all_of(chart.series.begin(), chart.series.end(),
                                 [](const ChartSeries& series) { return series.points.empty(); });
  if (empty)
    return text + heading(chart, false) +
           fmt::format("<text class=\"empty\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">no values yet</text>\n</svg>\n",
                       chart.width / 2, chart.height / 2 + 10);
  const ChartLayout layout = report::lay_out(chart);
  text += heading(chart, layout.y.logarithmic()) + legend(layout) + axes(layout) + marks(layout);
  for (const ChartSeries& series : chart.series)
    if (series.faint) text += line(layout, series);
  for (const ChartSeries& series : chart.series)
    if (!series.faint) text += line(layout, series);
  return text + hover_zones(layout) + "</svg>\n";
}

}  // namespace capstan
