// JPEG pixels by libjpeg-turbo.
#pragma once
#include "capstan/image/image.h"
#include "image/header.h"

namespace capstan::image_io {

// RGB of a JPEG whose header has been read. `shrink` is 1, 2, 4 or 8: sides are divided by it, rounding up, within the
// inverse DCT. HeaderError when the data cannot be decoded or would take more than kMaxDecodeBytes.
Image decode_jpeg(Bytes bytes, const Header& header, int shrink);

}  // namespace capstan::image_io
