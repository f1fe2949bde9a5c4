// The passes in plain C++, for any processor and as the yardstick of the faster ones.
#include "image/resize_passes.h"

#include <algorithm>
#include <vector>

namespace capstan::image_io {
namespace {

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

void plain_width(const std::uint8_t* in, std::size_t in_stride, int num_rows, const Taps& taps, std::uint8_t* out) {
  for (int y = 0; y < num_rows; ++y) {
    const std::uint8_t* row = in + static_cast<std::size_t>(y) * in_stride;
    for (int i = 0; i < taps.out_size(); ++i, out += 3) {
      const auto range = taps.range(i);
      const std::int32_t* weights = taps.weights_of(i);
      const std::uint8_t* from = row + static_cast<std::ptrdiff_t>(range.first) * 3;
      std::int32_t red = kHalf;
      std::int32_t green = kHalf;
      std::int32_t blue = kHalf;
      for (int k = 0; k < range.count; ++k, from += 3) {
        red += from[0] * weights[k];
        green += from[1] * weights[k];
        blue += from[2] * weights[k];
      }
      out[0] = rounded(red);
      out[1] = rounded(green);
      out[2] = rounded(blue);
    }
  }
}

// Whole rows are added up, so that the inner loop runs over adjacent bytes.
void plain_height(const std::uint8_t* in, std::size_t in_stride, std::size_t row_size, const Taps& taps,
                  std::uint8_t* out) {
  std::vector<std::int32_t> sums(row_size);
  for (int i = 0; i < taps.out_size(); ++i, out += row_size) {
    const auto range = taps.range(i);
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < range.count; ++k) {
      const std::uint8_t* from = in + static_cast<std::size_t>(range.first + k) * in_stride;
      const std::int32_t weight = taps.weights_of(i)[k];
      for (std::size_t x = 0; x < row_size; ++x) sums[x] += from[x] * weight;
    }
    for (std::size_t x = 0; x < row_size; ++x) out[x] = rounded(sums[x]);
  }
}

}  // namespace

Passes plain_passes() { return {plain_width, plain_height}; }

Passes fastest_passes() {
  static const Passes fastest = has_avx2() ? avx2_passes() : plain_passes();
  return fastest;
}

}  // namespace capstan::image_io
