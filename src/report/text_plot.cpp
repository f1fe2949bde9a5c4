#include "report/text_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "report/chart_layout.h"
#include "report/html.h"

namespace capstan::report {
namespace {

struct Bounds {
  double left = 0, right = 0, low = 0, high = 0;
};

std::optional<Bounds> bounds_of(std::span<const TextCurve> curves) {
  std::optional<Bounds> bounds;
  for (const TextCurve& curve : curves) {
    for (const CurvePoint& point : curve.points) {
      if (!bounds) bounds = Bounds{point.x, point.x, point.y, point.y};
      bounds->left = std::min(bounds->left, point.x);
      bounds->right = std::max(bounds->right, point.x);
      bounds->low = std::min(bounds->low, point.y);
      bounds->high = std::max(bounds->high, point.y);
    }
  }
  if (bounds && bounds->left < 0.25 * bounds->right) bounds->left = 0;
  if (bounds && bounds->left == bounds->right) bounds->right += 1;
  return bounds;
}

// The mean of the points in [first, last), or what lies on the line between their neighbours.
std::optional<double> value_in(const Series& series, double first, double last) {
  const auto from = std::lower_bound(series.begin(), series.end(), first,
                                     [](const CurvePoint& point, double x) { return point.x < x; });
  double sum = 0;
  auto to = from;
  for (; to != series.end() && to->x < last; ++to) sum += to->y;
  if (to != from) return sum / static_cast<double>(to - from);
  if (from == series.begin() || from == series.end()) return std::nullopt;
  const CurvePoint &before = *std::prev(from), &after = *from;
  const double share = ((first + last) / 2 - before.x) / (after.x - before.x);
  return before.y + std::clamp(share, 0.0, 1.0) * (after.y - before.y);
}

class Canvas {
 public:
  Canvas(int columns, int rows)
      : columns_(columns),
        lines_(static_cast<std::size_t>(rows), std::string(static_cast<std::size_t>(columns), ' ')) {}

  static constexpr int kNone = std::numeric_limits<int>::min();

  // A curve is upright where it climbs more than one row from one column to the next.
  void draw(const TextCurve& curve, const Bounds& bounds, const Scale& y) {
    const double step = (bounds.right - bounds.left) / columns_;
    int previous = kNone;  // row of the column before
    for (int column = 0; column < columns_; ++column) {
      const double first = bounds.left + column * step;
      const bool is_last = column + 1 == columns_;
      const auto value = value_in(curve.points, first, is_last ? bounds.right + step : first + step);
      if (!value) {
        previous = kNone;
        continue;
      }
      const int row = static_cast<int>(std::lround(y(*value)));
      const int towards = previous == kNone || previous == row ? row : previous < row ? previous + 1 : previous - 1;
      for (int r = std::min(row, towards); r <= std::max(row, towards); ++r) put(r, column, curve.mark);
      previous = row;
    }
  }
  const std::string& line(int row) const { return lines_[static_cast<std::size_t>(row)]; }

 private:
  void put(int row, int column, char mark) {
    const int last = static_cast<int>(lines_.size()) - 1;
    char& cell = lines_[static_cast<std::size_t>(std::clamp(row, 0, last))][static_cast<std::size_t>(column)];
    cell = cell == ' ' || cell == mark ? mark : '*';
  }
  int columns_;
  std::vector<std::string> lines_;
};

std::string step_labels(const Bounds& bounds, int columns) {
  const Scale x(bounds.left, bounds.right, 0, columns - 1);
  std::string line(static_cast<std::size_t>(columns), ' ');
  std::size_t free = 0;
  for (const double tick : x.ticks(std::max(2, columns / 14))) {
    const std::string label = format_count(tick);
    const auto at = static_cast<std::size_t>(std::lround(x(tick)));
    const std::size_t begin =
        std::min(at - std::min(at, label.size() / 2), line.size() - std::min(line.size(), label.size()));
    if (begin < free) continue;
    line.replace(begin, label.size(), label);
    free = begin + label.size() + 2;
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

}  // namespace

std::string text_plot(std::span<const TextCurve> curves, int width, int height) {
  const auto bounds = bounds_of(curves);
  if (!bounds) return "";
  const bool logarithmic = bounds->low > 0 && bounds->high > 5 * bounds->low;
  const double air = bounds->high > bounds->low ? 0 : std::max(std::fabs(bounds->high) * 0.1, 1e-9);
  const Scale y(bounds->low - air, bounds->high + air, height - 1, 0, logarithmic);
  std::vector<std::string> labels(static_cast<std::size_t>(height));
  std::size_t widest = 1;
  for (const double tick : y.ticks(std::max(2, height / 3))) {
    const auto row = static_cast<std::size_t>(std::clamp(static_cast<int>(std::lround(y(tick))), 0, height - 1));
    labels[row] = tick_label(tick);
    widest = std::max(widest, labels[row].size());
  }
  const int columns = std::max(10, width - static_cast<int>(widest) - 2);
  Canvas canvas(columns, height);
  for (const TextCurve& curve : curves) canvas.draw(curve, *bounds, y);
  std::string text;
  for (int row = 0; row < height; ++row) {
    const std::string& label = labels[static_cast<std::size_t>(row)];
    const std::string line = fmt::format("{:>{}} {}{}", label, widest, label.empty() ? '|' : '+', canvas.line(row));
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  const std::string margin(widest + 1, ' ');
  return text + margin + "+" + std::string(static_cast<std::size_t>(columns), '-') + "\n" + margin + " " +
         step_labels(*bounds, columns) + "\n";
}

}  // namespace capstan::report
