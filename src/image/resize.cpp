// Separable convolution in fixed point as Pillow does it: each pass rounds its sums to 8 bits, which makes the order of
// the passes visible, see height_first().
#include "capstan/image/resize.h"

#include <algorithm>
#include <vector>

#include "capstan/core/error.h"
#include "image/resize_passes.h"
#include "image/resize_taps.h"

namespace capstan {
namespace {

using image_io::make_taps;
using image_io::Passes;
using image_io::Taps;

std::size_t bytes_of(int height, int width) {
  return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3;
}

// Input positions of the outputs [begin, begin + count). Positions are added up step by step from the first output on:
// Pillow's rounding errors included.
std::vector<int> nearest_positions(int in_size, int out_size, int begin, int count) {
  const double step = static_cast<double>(in_size) / out_size;
  std::vector<int> positions;
  double at = step * 0.5;
  for (int i = 0; i < begin + count; ++i, at += step)
    if (i >= begin) positions.push_back(std::min(static_cast<int>(at), in_size - 1));
  return positions;
}

// The pixels at the crossings of `rows` and `columns`.
Image pick(const Image& image, const std::vector<int>& rows, const std::vector<int>& columns) {
  Image out{.height = static_cast<int>(rows.size()), .width = static_cast<int>(columns.size()), .rgb = {}};
  out.rgb.reserve(bytes_of(out.height, out.width));
  for (const int y : rows) {
    const std::uint8_t* row = image.rgb.data() + static_cast<std::ptrdiff_t>(y) * image.width * 3;
    for (const int x : columns) out.rgb.insert(out.rgb.end(), row + x * 3, row + x * 3 + 3);
  }
  return out;
}

// Room for what comes out of the first pass. It is kept from picture to picture, since asking the system for fresh
// pages takes as long as a pass; what a giant picture needed is given back with the next small one.
std::uint8_t* room(std::size_t size) {
  constexpr std::size_t kKept = std::size_t{16} << 20;
  thread_local std::vector<std::uint8_t> bytes;
  if (bytes.size() > kKept && size <= kKept) std::vector<std::uint8_t>().swap(bytes);
  if (bytes.size() < size) {
    bytes.clear();  // nothing to copy
    bytes.resize(size);
  }
  return bytes.data();
}

// Which pass Pillow 13 runs first: the vertical one where the height shrinks by more than twice what the width does.
// Earlier versions always began with the width; results differ by rounding and clipping only.
bool height_first(const Image& image, int height, int width) {
  return height < image.height && image.height - height > 2 * (image.width - width);
}

// Taps, or only the range of inputs where this side keeps its size.
Taps taps_of(int in_size, int out_size, Resample resample, int begin, int count) {
  if (in_size == out_size) return {.first = begin, .in_size = count};
  return make_taps(in_size, out_size, resample, begin, count);
}

}  // namespace

Image resize(const Image& image, int height, int width, Resample resample) {
  if (image.height == height && image.width == width) return image;
  return resize_region(image, height, width, resample, {.height = height, .width = width});
}

Image resize_region(const Image& image, int height, int width, Resample resample, const Region& region) {
  CAPSTAN_ASSERT(height > 0 && width > 0 && image.height > 0 && image.width > 0);
  CAPSTAN_ASSERT(image.rgb.size() == bytes_of(image.height, image.width));
  CAPSTAN_ASSERT(region.top >= 0 && region.height > 0 && region.top + region.height <= height);
  CAPSTAN_ASSERT(region.left >= 0 && region.width > 0 && region.left + region.width <= width);
  const bool same_height = image.height == height;
  const bool same_width = image.width == width;
  if (resample == Resample::kNearest || (same_height && same_width))
    return pick(image, nearest_positions(image.height, height, region.top, region.height),
                nearest_positions(image.width, width, region.left, region.width));
  const Passes passes = image_io::fastest_passes();
  const Taps rows = taps_of(image.height, height, resample, region.top, region.height);
  const Taps columns = taps_of(image.width, width, resample, region.left, region.width);
  const std::size_t in_row = bytes_of(1, image.width);
  const std::uint8_t* in =
      image.rgb.data() + static_cast<std::size_t>(rows.first) * in_row + bytes_of(1, columns.first);
  Image out{.height = region.height, .width = region.width, .rgb = {}};
  out.rgb.resize(bytes_of(out.height, out.width));
  const std::size_t out_row = bytes_of(1, out.width);
  if (same_height) {
    passes.width(in, in_row, rows.in_size, columns, out.rgb.data());
  } else if (same_width) {
    passes.height(in, in_row, out_row, rows, out.rgb.data());
  } else if (height_first(image, height, width)) {
    const std::size_t row_size = bytes_of(1, columns.in_size);
    std::uint8_t* between = room(bytes_of(out.height, columns.in_size));
    passes.height(in, in_row, row_size, rows, between);
    passes.width(between, row_size, out.height, columns, out.rgb.data());
  } else {
    std::uint8_t* between = room(bytes_of(rows.in_size, out.width));
    passes.width(in, in_row, rows.in_size, columns, between);
    passes.height(between, out_row, out_row, rows, out.rgb.data());
  }
  return out;
}

}  // namespace capstan
