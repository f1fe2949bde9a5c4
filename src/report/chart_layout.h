// Where things of a chart go.
#pragma once
#include "capstan/report/chart.h"
#include "report/scale.h"

namespace capstan::report {

struct ChartLayout {
  const Chart& chart;
  double left, right, top, bottom;  // of the plot, in units of the view box
  Scale x, y;
  std::vector<double> y_ticks;
  bool has_legend;  // where there is more than one curve to tell apart
};

// Of a chart with at least one point.
ChartLayout lay_out(const Chart& chart);

// Width of `text` in the charts' font, to within a few per cent.
double text_width(std::string_view text);

// "50", "2.5e-5": as short as the distance to its neighbours allows.
std::string tick_label(double tick);

// The places that answer to the pointer, each with a box of the values there.
std::string hover_zones(const ChartLayout& layout);

}  // namespace capstan::report
