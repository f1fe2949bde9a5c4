// All eight orientations are one walk over the source with a start and two strides.
#include "image/orientation.h"

#include <cstddef>
#include <utility>

#include "capstan/core/error.h"

namespace capstan::image_io {

Image apply_orientation(Image image, int orientation) {
  CAPSTAN_ASSERT(orientation >= 1 && orientation <= 8);
  if (orientation == 1) return image;
  const bool swaps = orientation >= 5;
  // Where the result's first pixel is, and which way its rows and columns run, in the source.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const std::ptrdiff_t along_width = from_right ? -3 : 3;
  const std::ptrdiff_t along_height = (from_bottom ? -3 : 3) * static_cast<std::ptrdiff_t>(image.width);
  const std::ptrdiff_t next_column = swaps ? along_height : along_width;
  const std::ptrdiff_t next_row = swaps ? along_width : along_height;
  std::ptrdiff_t start = 0;
  if (from_right) start += 3 * (static_cast<std::ptrdiff_t>(image.width) - 1);
  if (from_bottom) start += 3 * static_cast<std::ptrdiff_t>(image.width) * (image.height - 1);

  Image turned{.height = swaps ? image.width : image.height,
               .width = swaps ? image.height : image.width,
               .rgb = std::vector<std::uint8_t>(image.rgb.size())};
  std::uint8_t* out = turned.rgb.data();
  for (int y = 0; y < turned.height; ++y) {
    std::ptrdiff_t from = start + y * next_row;
    for (int x = 0; x < turned.width; ++x, from += next_column, out += 3) {
      const std::uint8_t* pixel = image.rgb.data() + from;
      out[0] = pixel[0];
      out[1] = pixel[1];
      out[2] = pixel[2];
    }
  }
  return turned;
}

}  // namespace capstan::image_io
