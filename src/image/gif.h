// The first frame of a GIF: OpenCV reads GIF only in its newest versions.
#pragma once
#include "capstan/image/image.h"
#include "image/bytes.h"

namespace capstan::image_io {

// Transparent and uncovered pixels get the grey level `background`. HeaderError says what is wrong with the file,
// also when the frame would make the picture larger than `max_pixels`.
Image decode_gif(Bytes data, std::int64_t max_pixels, std::uint8_t background);

}  // namespace capstan::image_io
