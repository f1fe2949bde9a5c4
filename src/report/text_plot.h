// Line plots of characters, for terminals.
#pragma once
#include <span>
#include <string>

#include "capstan/report/series.h"

namespace capstan::report {

struct TextCurve {
  char mark;
  Series points;
};

// ASCII lines of at most `width` columns, `height` of them for the curves, with round numbers at both axes; '*' where
// curves meet. The vertical axis is logarithmic where all values are above 0 and the largest is more than five times
// the least. Empty when there are no points.
std::string text_plot(std::span<const TextCurve> curves, int width, int height);

}  // namespace capstan::report
