// Separable convolution in fixed point as Pillow does it: weights of every output position are computed in double
// precision, rounded to 22 fractional bits, and each pass rounds its sums to 8 bits again. Shrinking widens the
// filter by the scale (antialiasing). Rounding makes the order of the passes visible, see height_first().
#include "capstan/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "capstan/core/error.h"

namespace capstan {
namespace {

// 8 bits of result and 2 bits of head room for weights that overshoot leave 22 for the fraction.
constexpr int kFractionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

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

// For every output position the inputs it is made of and their weights in fixed point.
struct Taps {
  struct Range {
    int first = 0;
    int count = 0;
  };
  int stride = 0;  // weights kept per output position
  std::vector<Range> ranges;
  std::vector<std::int32_t> weights;
};

Taps make_taps(int in_size, int out_size, const Filter& filter) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double per_filter_scale = 1.0 / filter_scale;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.ranges.resize(static_cast<std::size_t>(out_size));
  taps.weights.resize(static_cast<std::size_t>(out_size) * static_cast<std::size_t>(taps.stride));
  std::vector<double> exact(static_cast<std::size_t>(taps.stride));
  for (int i = 0; i < out_size; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int k = 0; k < count; ++k) {
      exact[static_cast<std::size_t>(k)] = filter.weight((k + first - center + 0.5) * per_filter_scale);
      sum += exact[static_cast<std::size_t>(k)];
    }
    std::int32_t* weights = taps.weights.data() + static_cast<std::ptrdiff_t>(i) * taps.stride;
    for (int k = 0; k < count; ++k) {
      const double weight = sum != 0.0 ? exact[static_cast<std::size_t>(k)] / sum : exact[static_cast<std::size_t>(k)];
      weights[k] = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kFractionBits));
    }
    taps.ranges[static_cast<std::size_t>(i)] = {first, count};
  }
  return taps;
}

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

Image resize_width(const Image& image, int width, const Filter& filter) {
  const Taps taps = make_taps(image.width, width, filter);
  Image out{.height = image.height, .width = width, .rgb = {}};
  out.rgb.resize(static_cast<std::size_t>(out.height) * static_cast<std::size_t>(width) * 3);
  std::uint8_t* to = out.rgb.data();
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.rgb.data() + static_cast<std::ptrdiff_t>(y) * image.width * 3;
    const std::int32_t* weights = taps.weights.data();
    for (const auto& range : taps.ranges) {
      const std::uint8_t* from = row + static_cast<std::ptrdiff_t>(range.first) * 3;
      std::int32_t red = kHalf;
      std::int32_t green = kHalf;
      std::int32_t blue = kHalf;
      for (int k = 0; k < range.count; ++k, from += 3) {
        red += from[0] * weights[k];
        green += from[1] * weights[k];
        blue += from[2] * weights[k];
      }
      to[0] = rounded(red);
      to[1] = rounded(green);
      to[2] = rounded(blue);
      to += 3;
      weights += taps.stride;
    }
  }
  return out;
}

// Whole rows are added up, so that the inner loop runs over adjacent bytes and is vectorised.
Image resize_height(const Image& image, int height, const Filter& filter) {
  const Taps taps = make_taps(image.height, height, filter);
  const std::size_t row_size = static_cast<std::size_t>(image.width) * 3;
  Image out{.height = height, .width = image.width, .rgb = {}};
  out.rgb.resize(static_cast<std::size_t>(height) * row_size);
  std::vector<std::int32_t> sums(row_size);
  for (int y = 0; y < height; ++y) {
    const auto range = taps.ranges[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < range.count; ++k) {
      const std::uint8_t* from = image.rgb.data() + static_cast<std::size_t>(range.first + k) * row_size;
      const std::int32_t weight = taps.weights[static_cast<std::size_t>(y) * static_cast<std::size_t>(taps.stride) +
                                               static_cast<std::size_t>(k)];
      for (std::size_t i = 0; i < row_size; ++i) sums[i] += from[i] * weight;
    }
    std::uint8_t* to = out.rgb.data() + static_cast<std::size_t>(y) * row_size;
    for (std::size_t i = 0; i < row_size; ++i) to[i] = rounded(sums[i]);
  }
  return out;
}

// Input position of every output position. Positions are added up step by step: Pillow's rounding errors included.
std::vector<int> nearest_positions(int in_size, int out_size) {
  const double step = static_cast<double>(in_size) / out_size;
  std::vector<int> positions;
  double at = step * 0.5;
  for (int i = 0; i < out_size; ++i, at += step) positions.push_back(std::min(static_cast<int>(at), in_size - 1));
  return positions;
}

Image resize_nearest(const Image& image, int height, int width) {
  const auto columns = nearest_positions(image.width, width);
  Image out{.height = height, .width = width, .rgb = {}};
  out.rgb.reserve(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  for (const int y : nearest_positions(image.height, height)) {
    const std::uint8_t* row = image.rgb.data() + static_cast<std::ptrdiff_t>(y) * image.width * 3;
    for (const int x : columns) out.rgb.insert(out.rgb.end(), row + x * 3, row + x * 3 + 3);
  }
  return out;
}

// Which pass Pillow 13 runs first: the vertical one where the height shrinks by more than twice what the width does.
// Earlier versions always began with the width; results differ by rounding and clipping only.
bool height_first(const Image& image, int height, int width) {
  return height < image.height && image.height - height > 2 * (image.width - width);
}

}  // namespace

Image resize(const Image& image, int height, int width, Resample resample) {
  CAPSTAN_ASSERT(height > 0 && width > 0 && image.height > 0 && image.width > 0);
  if (image.height == height && image.width == width) return image;
  if (resample == Resample::kNearest) return resize_nearest(image, height, width);
  const Filter filter = filter_of(resample);
  if (image.height == height) return resize_width(image, width, filter);
  if (image.width == width) return resize_height(image, height, filter);
  if (height_first(image, height, width)) return resize_width(resize_height(image, height, filter), width, filter);
  return resize_height(resize_width(image, width, filter), height, filter);
}

}  // namespace capstan
