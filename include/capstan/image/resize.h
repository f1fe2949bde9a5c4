// Resizing equal to Image.resize of Pillow 13, bit for bit: 8 bits per channel, antialiased convolution in two passes.
#pragma once
#include "capstan/image/image.h"

namespace capstan {

// Numbers as `resample` in preprocessor_config.json (Pillow's own).
enum class Resample { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

// `height` and `width` are at least 1.
Image resize(const Image& image, int height, int width, Resample resample);

// Rows and columns of a picture.
struct Region {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

// That part of resize(image, height, width, resample) which lies in `region`, without the work for the rest. The region
// is not empty and lies inside.
Image resize_region(const Image& image, int height, int width, Resample resample, const Region& region);

}  // namespace capstan
