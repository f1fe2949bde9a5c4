#include "capstan/report/series.h"

#include <algorithm>
#include <string>

namespace capstan {

Series thin(const Series& series, std::size_t limit) {
  if (series.size() <= std::max<std::size_t>(limit, 4)) return series;
  const std::size_t inner = series.size() - 2;
  const std::size_t stretches = (std::max<std::size_t>(limit, 4) - 2) / 2;
  Series thinned{series.front()};
  for (std::size_t i = 0; i < stretches; ++i) {
    const auto first = series.begin() + 1 + static_cast<std::ptrdiff_t>(i * inner / stretches);
    const auto last = series.begin() + 1 + static_cast<std::ptrdiff_t>((i + 1) * inner / stretches);
    if (first == last) continue;
    auto [low, high] =
        std::minmax_element(first, last, [](const CurvePoint& a, const CurvePoint& b) { return a.y < b.y; });
    if (low > high) std::swap(low, high);
    thinned.push_back(*low);
    if (low != high) thinned.push_back(*high);
  }
  thinned.push_back(series.back());
  return thinned;
}

// Added up anew for each point: a running sum would not recover from one huge value.
Series smooth(const Series& series, std::size_t window) {
  Series smoothed = series;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::size_t back = std::min(window / 2, i);
    const std::size_t ahead = std::min(back, series.size() - 1 - i);
    double sum = 0;
    for (std::size_t j = i - back; j <= i + ahead; ++j) sum += series[j].y;
    smoothed[i].y = sum / static_cast<double>(back + ahead + 1);
  }
  return smoothed;
}

std::optional<double> median(const Series& series) {
  if (series.empty()) return std::nullopt;
  std::vector<double> values;
  for (const CurvePoint& point : series) values.push_back(point.y);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool lower_is_better(std::string_view score) {
  for (const std::string_view part : {"loss", "perplexity", "seconds", "error"})
    if (score.find(part) != std::string_view::npos) return true;
  for (const std::string_view whole : {"wer", "cer", "ter"})
    if (score == whole || score.ends_with(std::string(1, '_').append(whole))) return true;
  return false;
}

std::optional<CurvePoint> best_of(const Series& series, std::string_view score) {
  if (series.empty()) return std::nullopt;
  const auto lower = [](const CurvePoint& a, const CurvePoint& b) { return a.y < b.y; };
  return lower_is_better(score) ? *std::min_element(series.begin(), series.end(), lower)
                                : *std::max_element(series.begin(), series.end(), lower);
}

}  // namespace capstan
