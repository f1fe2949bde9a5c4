// Figures of a run as the reports, the comparison and `capstan inspect` say them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "capstan/report/run_data.h"

namespace capstan::report {

// One figure of a run, comparable between runs.
struct Figure {
  std::string name;  // "captions/s", "data wait"
  double value = 0;
  std::string text;  // with its unit
};

// Throughput, waiting, utilisation and memory, as far as the run says them.
std::vector<Figure> speed_figures(const RunData& run);

// "3 update_skipped (last at step 120), 1 rolled_back (at step 80)"; "none".
std::string count_events(const RunData& run);

// The training loss without its noise: the mean of the last lines.
std::optional<double> settled_loss(const RunData& run);

// For lines: how many points are averaged to see the trend of `series`; 1 when there are few.
std::size_t smoothing_window(const Series& series);

std::string format_bytes(double bytes);

}  // namespace capstan::report
