#include "report/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "capstan/core/strings.h"
#include "report/html.h"

namespace capstan::report {
namespace {

using Name = std::pair<const char*, const char*>;  // in metrics.jsonl, and to people
constexpr Name kRates[] = {
    {"captions_per_second", "captions/s"}, {"images_per_second", "images/s"}, {"tokens_per_second", "tokens/s"}};
constexpr Name kShares[] = {{"data_wait", "data wait"}, {"mfu", "FLOP utilisation"}};

double largest(const Series& series) {
  return std::max_element(series.begin(), series.end(),
                          [](const CurvePoint& a, const CurvePoint& b) { return a.y < b.y; })
      ->y;
}

}  // namespace

std::string format_bytes(double bytes) { return human_bytes(static_cast<std::uint64_t>(std::max(bytes, 0.0))); }

std::vector<Figure> speed_figures(const RunData& run) {
  std::vector<Figure> figures;
  for (const auto& [key, name] : kRates)
    if (const auto middle = median(run.curve(key))) figures.push_back({name, *middle, format_number(*middle)});
  for (const auto& [key, name] : kShares)
    if (const auto middle = median(run.curve(key)))
      figures.push_back({name, *middle, fmt::format("{:.1f} %", 100 * *middle)});
  if (const Series& memory = run.curve("memory_bytes"); !memory.empty())
    figures.push_back({"peak memory", largest(memory), format_bytes(largest(memory))});
  return figures;
}

std::string count_events(const RunData& run) {
  struct Count {
    std::size_t count = 0;
    std::int64_t last = 0;
  };
  std::map<std::string, Count> counts;
  for (const RunEvent& event : run.events) {
    ++counts[event.name].count;
    counts[event.name].last = event.step;
  }
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{} {} ({}at step {})", text.empty() ? "" : ", ", count.count, name,
                        count.count > 1 ? "last " : "", count.last);
  return text.empty() ? "none" : text;
}

std::optional<double> settled_loss(const RunData& run) {
  const Series& loss = run.curve("loss");
  if (loss.empty()) return std::nullopt;
  const std::size_t count = std::min(loss.size(), smoothing_window(loss));
  double sum = 0;
  for (std::size_t i = loss.size() - count; i < loss.size(); ++i) sum += loss[i].y;
  return sum / static_cast<double>(count);
}

std::size_t smoothing_window(const Series& series) {
  constexpr std::size_t kFew = 60;
  constexpr std::size_t kMost = 400;
  return series.size() < kFew ? 1 : std::min(kMost, series.size() / 30);
}

}  // namespace capstan::report
