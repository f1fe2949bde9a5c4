// Which charts a run gets, and what is on them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "capstan/report/chart.h"
#include "report/figures.h"
#include "report/page_parts.h"

namespace capstan::report {
namespace {

constexpr std::size_t kPoints = 500;  // of a curve on the page; a chart is some 500 pixels wide
constexpr std::size_t kMarks = 2000;
constexpr std::size_t kOthers = 12;  // charts of keys that this program does not know
constexpr double kGibibyte = 1024.0 * 1024 * 1024;

Series scaled(Series series, double factor) {
  for (CurvePoint& point : series) point.y *= factor;
  return series;
}

std::vector<ChartMark> marks_of(const RunData& run) {
  std::vector<ChartMark> marks;
  for (const RunEvent& event : run.events) {
    if (marks.size() == kMarks) break;
    marks.push_back({static_cast<double>(event.step),
                     fmt::format("step {}: {}{}{}", event.step, event.name, event.details.empty() ? "" : ": ",
                                 event.details.substr(0, 200))});
  }
  return marks;
}

// A noisy curve is drawn twice: pale as it is, and its trend on top.
void add_noisy(Chart& chart, const std::string& name, const Series& series, int colour) {
  const std::size_t window = smoothing_window(series);
  if (window > 2)
    chart.series.push_back({.name = name, .points = thin(series, kPoints), .colour = colour, .faint = true});
  const Series trend = window > 2 ? smooth(series, window) : series;
  if (!series.empty()) chart.series.push_back({.name = name, .points = thin(trend, kPoints), .colour = colour});
}

void add_scores(Chart& chart, const std::string& name, const Series& series, int colour) {
  if (!series.empty())
    chart.series.push_back(
        {.name = name, .points = thin(series, kPoints), .colour = colour, .markers = series.size() <= 60});
}

class Charts {
 public:
  explicit Charts(const RunData& run) : run_(run) {}

  void add(const Chart& chart) {
    if (!chart.series.empty()) text_ += "<figure>" + svg_chart(chart, false) + "</figure>\n";
  }
  // One chart of keys of the training lines, each (key, name); keys that are drawn count as known.
  void add_keys(Chart chart, const std::vector<std::pair<std::string, std::string>>& keys, double factor = 1) {
    int colour = 0;
    for (const auto& [key, name] : keys) {
      add_noisy(chart, name, scaled(run_.curve(key), factor), colour++);
      set_known(key);
    }
    add(chart);
  }
  void set_known(const std::string& key) { known_.insert(key); }
  void add_unknown() {
    std::size_t count = 0;
    for (const auto& [key, series] : run_.series)
      if (!known_.contains(key) && count++ < kOthers)
        add_keys({.title = key, .unit = "", .series = {}, .marks = {}, .scale = Chart::Scale::kAuto}, {{key, key}});
  }
  const std::string& text() const { return text_; }

 private:
  const RunData& run_;
  std::set<std::string> known_;
  std::string text_;
};

Chart titled(const std::string& title, const std::string& unit = "", Chart::Scale scale = Chart::Scale::kLinear) {
  return {.title = title, .unit = unit, .series = {}, .marks = {}, .scale = scale};
}

void add_loss(Charts& charts, const RunData& run) {
  Chart chart = titled("Loss", "", Chart::Scale::kAuto);
  chart.marks = marks_of(run);
  add_noisy(chart, "training", run.curve("loss"), 0);
  add_scores(chart, "evaluation", run.score("loss"), 1);
  charts.set_known("loss");
  charts.add(chart);
}

// Scores between 0 and 1 share a chart; others (CIDEr, perplexity) would press them flat and get their own.
void add_evaluations(Charts& charts, const RunData& run) {
  Chart shares = titled("Evaluation scores");
  std::vector<Chart> others;
  int colour = 0;
  for (const std::string& name : run.score_names()) {
    if (name == "loss") continue;
    const Series& series = run.score(name);
    const bool is_share =
        std::all_of(series.begin(), series.end(), [](const CurvePoint& point) { return point.y >= 0 && point.y <= 1; });
    if (is_share && !lower_is_better(name) && shares.series.size() < 8) {
      add_scores(shares, name, series, colour++);
    } else if (others.size() < kOthers) {
      const auto scale = lower_is_better(name) ? Chart::Scale::kAuto : Chart::Scale::kLinear;
      others.push_back(titled(name, "evaluation", scale));
      add_scores(others.back(), name, series, 0);
    }
  }
  charts.add(shares);
  for (const Chart& chart : others) charts.add(chart);
}

// Without a trend: a schedule has no noise, and its corners shall stay.
void add_rates(Charts& charts, const RunData& run) {
  Chart chart = titled("Learning rate");
  for (const auto& [key, series] : run.series) {
    if (!key.starts_with("learning_rate") || chart.series.size() == 8) continue;
    chart.series.push_back(
        {.name = key, .points = thin(series, kPoints), .colour = static_cast<int>(chart.series.size())});
    charts.set_known(key);
  }
  charts.add(chart);
}

}  // namespace

std::string curves_part(const RunData& run) {
  Charts charts(run);
  add_loss(charts, run);
  add_evaluations(charts, run);
  add_rates(charts, run);
  Chart norm = titled("Gradient norm", "", Chart::Scale::kAuto);
  norm.marks = marks_of(run);
  charts.add_keys(norm, {{"grad_norm", "gradient norm"}});
  charts.add_keys(titled("Throughput", "per second"),
                  {{"captions_per_second", "captions"}, {"images_per_second", "images"}});
  charts.add_keys(titled("Tokens", "per second"), {{"tokens_per_second", "tokens"}});
  charts.add_keys(titled("Waiting for data", "% of the time"), {{"data_wait", "waiting"}}, 100);
  charts.add_keys(titled("FLOP utilisation", "% of the device's peak"), {{"mfu", "utilisation"}}, 100);
  charts.add_keys(titled("Memory", "GiB"), {{"memory_bytes", "memory"}}, 1 / kGibibyte);
  charts.add_unknown();
  return charts.text().empty() ? ""
                               : section("curves", "Curves", "<div class=\"charts\">\n" + charts.text() + "</div>\n");
}

}  // namespace capstan::report
