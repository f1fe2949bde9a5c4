// Pixels are looked up by a plane map in 16.16 fixed point, as in Pillow; the part of each row that has a source is
// found by division, so that the inner loop tests nothing.
#include "capstan/image/geometry.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numbers>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::size_t kChannels = 3;

std::uint8_t* row_of(Image& image, int y) {
  return image.rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) * kChannels;
}
const std::uint8_t* row_of(const Image& image, int y) {
  return image.rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) * kChannels;
}
std::size_t bytes(int pixels) { return static_cast<std::size_t>(pixels) * kChannels; }

// x_in = x[0] * x_out + x[1] * y_out + x[2] with pixel centres at halves; y_in likewise.
struct PlaneMap {
  std::array<double, 3> x;
  std::array<double, 3> y;
};

std::int64_t fixed(double value) { return static_cast<std::int64_t>(std::floor(value * 65536.0 + 0.5)); }

std::int64_t floor_divide(std::int64_t value, std::int64_t by) {  // by > 0
  return value >= 0 ? value / by : -((-value + by - 1) / by);
}

// The indices i of [0, count) for which start + i * step lies in [0, limit << 16).
struct Range {
  std::int64_t first;
  std::int64_t last;  // one past
};

Range inside(std::int64_t start, std::int64_t step, int limit, int count) {
  const std::int64_t end = std::int64_t{limit} << 16;
  if (step == 0) return start >= 0 && start < end ? Range{0, count} : Range{0, 0};
  // For a negative step the row is walked from its mirror image: end - 1 - value rises.
  const std::int64_t from = step > 0 ? start : end - 1 - start;
  const std::int64_t pace = step > 0 ? step : -step;
  const std::int64_t first = -floor_divide(from, pace);              // the first with from + i * pace >= 0
  const std::int64_t last = floor_divide(end - 1 - from, pace) + 1;  // the last one below the end
  return {std::clamp<std::int64_t>(first, 0, count), std::clamp<std::int64_t>(last, 0, count)};
}

Image look_up(const Image& image, const PlaneMap& map) {
  Image out{.height = image.height, .width = image.width, .rgb = {}};
  out.rgb.resize(image.rgb.size());
  const std::int64_t x_step = fixed(map.x[0]);
  const std::int64_t y_step = fixed(map.y[0]);
  std::int64_t x_row = fixed(map.x[2] + map.x[0] * 0.5 + map.x[1] * 0.5);
  std::int64_t y_row = fixed(map.y[2] + map.y[0] * 0.5 + map.y[1] * 0.5);
  for (int row = 0; row < image.height; ++row, x_row += fixed(map.x[1]), y_row += fixed(map.y[1])) {
    const Range across = inside(x_row, x_step, image.width, image.width);
    const Range down = inside(y_row, y_step, image.height, image.width);
    const std::int64_t first = std::max(across.first, down.first);
    const std::int64_t last = std::min(across.last, down.last);
    std::uint8_t* to = row_of(out, row) + first * 3;
    std::int64_t x = x_row + first * x_step;
    std::int64_t y = y_row + first * y_step;
    for (std::int64_t i = first; i < last; ++i, to += 3, x += x_step, y += y_step) {
      const std::uint8_t* from = image.rgb.data() + ((y >> 16) * image.width + (x >> 16)) * 3;
      to[0] = from[0];
      to[1] = from[1];
      to[2] = from[2];
    }
  }
  return out;
}

// Pillow rounds sines to 15 digits, so that quarter turns are exact.
double rounded(double value) { return std::nearbyint(value * 1e15) / 1e15; }

}  // namespace

Image crop(const Image& image, int top, int left, int height, int width) {
  CAPSTAN_ASSERT(top >= 0 && left >= 0 && height > 0 && width > 0);
  CAPSTAN_ASSERT(top + height <= image.height && left + width <= image.width);
  Image out{.height = height, .width = width, .rgb = {}};
  out.rgb.reserve(static_cast<std::size_t>(height) * bytes(width));
  for (int y = top; y < top + height; ++y) {
    const std::uint8_t* from = row_of(image, y) + bytes(left);
    out.rgb.insert(out.rgb.end(), from, from + bytes(width));
  }
  return out;
}

void flip_horizontal(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* left = row_of(image, y);
    std::uint8_t* right = left + bytes(image.width) - kChannels;
    for (; left < right; left += kChannels, right -= kChannels) std::swap_ranges(left, left + kChannels, right);
  }
}

void translate(Image& image, int right, int down) {
  if (std::abs(right) >= image.width || std::abs(down) >= image.height) {
    std::fill(image.rgb.begin(), image.rgb.end(), std::uint8_t{0});
    return;
  }
  const std::size_t kept = bytes(image.width - std::abs(right));
  const std::size_t lost = bytes(std::abs(right));
  for (int i = 0; i < image.height; ++i) {
    const int y = down > 0 ? image.height - 1 - i : i;  // sources are read before they are written over
    std::uint8_t* to = row_of(image, y);
    if (y - down < 0 || y - down >= image.height) {
      std::memset(to, 0, kept + lost);
      continue;
    }
    const std::uint8_t* from = row_of(image, y - down);
    std::memmove(to + (right > 0 ? lost : 0), from + (right > 0 ? 0 : lost), kept);
    std::memset(to + (right > 0 ? 0 : kept), 0, lost);
  }
}

Image shear_x(const Image& image, double factor) { return look_up(image, {{1, factor, 0}, {0, 1, 0}}); }
Image shear_y(const Image& image, double factor) { return look_up(image, {{1, 0, 0}, {factor, 1, 0}}); }

Image rotate(const Image& image, double degrees) {
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360.0;
  const double angle = -(turn * (std::numbers::pi / 180.0));
  const double cosine = rounded(std::cos(angle));
  const double sine = rounded(std::sin(angle));
  const double x = image.width / 2.0;
  const double y = image.height / 2.0;
  return look_up(image, {{cosine, sine, cosine * -x + sine * -y + x}, {-sine, cosine, -sine * -x + cosine * -y + y}});
}

}  // namespace capstan
