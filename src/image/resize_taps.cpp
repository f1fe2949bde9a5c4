// Filters of Pillow's resampling. Weights are computed in double precision and rounded to 22 fractional bits;
// shrinking widens the filter by the scale (antialiasing).
#include "image/resize_taps.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "capstan/core/error.h"

namespace capstan::image_io {
namespace {

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double cubic(double x) {
  constexpr double kA = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0.0;
}

// Pillow writes these two as float constants; the 25th bit shows in the results.
constexpr double kHammingBase = static_cast<double>(0.54F);
constexpr double kHammingSwing = static_cast<double>(0.46F);

double hamming(double x) {
  x = std::fabs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (kHammingBase + kHammingSwing * std::cos(x));
}

struct Filter {
  double support;
  double (*weight)(double);
};

Filter filter_of(Resample resample) {
  switch (resample) {
    case Resample::kBox:
      return {0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }};
    case Resample::kBilinear:
      return {1.0, [](double x) { return std::max(0.0, 1.0 - std::fabs(x)); }};
    case Resample::kHamming:
      return {1.0, hamming};
    case Resample::kBicubic:
      return {2.0, cubic};
    case Resample::kLanczos:
      return {3.0, [](double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }};
    case Resample::kNearest:
      break;
  }
  internal_error(__FILE__, __LINE__, "resample has a filter");
}

}  // namespace

Taps make_taps(int in_size, int out_size, Resample resample, int begin, int count) {
  const Filter filter = filter_of(resample);
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double per_filter_scale = 1.0 / filter_scale;
  Taps taps{.stride = static_cast<int>(std::ceil(support)) * 2 + 1};
  taps.weights.resize(static_cast<std::size_t>(count) * static_cast<std::size_t>(taps.stride));
  std::vector<double> exact(static_cast<std::size_t>(taps.stride));
  std::int32_t* weights = taps.weights.data();
  for (int i = begin; i < begin + count; ++i, weights += taps.stride) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int num_taps = std::min(static_cast<int>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int k = 0; k < num_taps; ++k) {
      exact[static_cast<std::size_t>(k)] = filter.weight((k + first - center + 0.5) * per_filter_scale);
      sum += exact[static_cast<std::size_t>(k)];
    }
    for (int k = 0; k < num_taps; ++k) {
      const double weight = sum != 0.0 ? exact[static_cast<std::size_t>(k)] / sum : exact[static_cast<std::size_t>(k)];
      weights[k] = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kFractionBits));
    }
    if (i == begin) taps.first = first;
    taps.ranges.push_back({first - taps.first, num_taps});
    taps.in_size = std::max(taps.in_size, first - taps.first + num_taps);
  }
  return taps;
}

}  // namespace capstan::image_io
