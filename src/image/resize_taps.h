// For every output position of a resampling, the inputs it is made of and their weights in fixed point.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "capstan/image/resize.h"

namespace capstan::image_io {

// 8 bits of result and 2 bits of head room for weights that overshoot leave 22 for the fraction.
inline constexpr int kFractionBits = 32 - 8 - 2;
inline constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

// Taps of some neighbouring output positions.
struct Taps {
  struct Range {
    int first = 0;  // counted from Taps::first
    int count = 0;
  };
  int first = 0;    // the first input that is needed
  int in_size = 0;  // how many are, from there on
  int stride = 0;   // weights kept per output position
  std::vector<Range> ranges{};
  std::vector<std::int32_t> weights{};

  int out_size() const { return static_cast<int>(ranges.size()); }
  Range range(int i) const { return ranges[static_cast<std::size_t>(i)]; }
  const std::int32_t* weights_of(int i) const { return weights.data() + static_cast<std::ptrdiff_t>(i) * stride; }
};

// What resizing `in_size` inputs to `out_size` outputs takes for the outputs [begin, begin + count). `resample` is any
// filter but kNearest.
Taps make_taps(int in_size, int out_size, Resample resample, int begin, int count);

}  // namespace capstan::image_io
