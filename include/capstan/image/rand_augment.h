// The operations of RandAugment (Cubuk et al., 2020) with torchvision's table of magnitudes.
#pragma once
#include <span>

#include "capstan/image/image.h"

namespace capstan {

struct RandAugmentOperation {
  const char* name;  // "ShearX"
  bool is_signed;    // half of the time the magnitude is taken negative
  // Magnitude number `index` of `num_bins` for a picture of this size, in torchvision's single precision; 0 for
  // operations that know no magnitude.
  double (*magnitude)(int index, int num_bins, int height, int width);
  Image (*apply)(Image image, double magnitude);
};

// In torchvision's order, from Identity to Equalize.
std::span<const RandAugmentOperation> rand_augment_operations();

}  // namespace capstan
