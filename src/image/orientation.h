// Turning and mirroring pictures as EXIF asks for.
#pragma once
#include "capstan/image/image.h"

namespace capstan::image_io {

// `orientation` 1 to 8 as in EXIF 2.32, table 6; the result is how the photographer saw it.
Image apply_orientation(Image image, int orientation);

}  // namespace capstan::image_io
