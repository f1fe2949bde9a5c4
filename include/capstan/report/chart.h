// Line charts as SVG that needs nothing from outside: no script, no font, no request. Pointing at a place shows the
// values there, and the colours follow the reader's light or dark scheme, both by CSS alone.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "capstan/report/series.h"

namespace capstan {

struct ChartSeries {
  std::string name;
  Series points;
  int colour = 0;        // 0..7
  bool faint = false;    // thin, pale, neither in the legend nor among the values shown: what a smoothed line smooths
  bool markers = false;  // a dot at each point, for few points
};

// Something that happened at a step: a dashed line with a flag that says what.
struct ChartMark {
  double x = 0;
  std::string text;
};

struct Chart {
  enum class Scale {
    kLinear,
    kLog,   // linear after all where a value is not above 0
    kAuto,  // logarithmic where all values are above 0 and the largest is more than five times the least
  };
  std::string title;
  std::string unit;  // shown beside the title
  std::vector<ChartSeries> series;
  std::vector<ChartMark> marks;
  Scale scale = Scale::kLinear;
  int width = 580;  // of the view box; the picture takes the width it is given
  int height = 270;
};

// One <svg> element. `own_style` puts the style sheet inside, for a file of its own; a page with several charts has it
// once. A chart without points says so.
std::string svg_chart(const Chart& chart, bool own_style = true);

// The style sheet (no <style> tags) of all charts.
std::string_view chart_style();

}  // namespace capstan
