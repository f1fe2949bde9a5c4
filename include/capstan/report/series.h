// Curves of a run: values over steps.
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace capstan {

struct CurvePoint {
  double x = 0;  // step
  double y = 0;
  bool operator==(const CurvePoint&) const = default;
};

using Series = std::vector<CurvePoint>;  // x ascending, y finite

// At most about `limit` points that look the same: of each stretch the lowest and the highest stay, so that a spike of
// one step is still seen. The first and the last point always stay.
Series thin(const Series& series, std::size_t limit);

// Mean over `window` points around each. At the start, where curves are steep, as many on both sides as there are; at
// the end, where they are flat and a trend that ends in noise would mislead, those that are left after the point.
Series smooth(const Series& series, std::size_t window);

// The middle value; the upper one of two. Nothing of an empty series.
std::optional<double> median(const Series& series);

// Whether less is better, judged by the name of a score: losses, perplexities, error rates and seconds.
bool lower_is_better(std::string_view score);

// The best point, the earliest of equals; nothing of an empty series.
std::optional<CurvePoint> best_of(const Series& series, std::string_view score);

}  // namespace capstan
