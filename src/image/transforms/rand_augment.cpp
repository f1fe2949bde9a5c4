// RandAugment with torchvision's operations, magnitudes and signs, nearest filter and black from outside.
#include "capstan/image/rand_augment.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numbers>

#include "capstan/image/adjust.h"
#include "capstan/image/geometry.h"
#include "image/transform_entry.h"

namespace capstan {
namespace {

// torch.linspace in single precision: from both ends towards the middle.
double linspace(double start, double end, int index, int num_bins) {
  const auto from = static_cast<float>(start);
  const auto to = static_cast<float>(end);
  const float step = (to - from) / static_cast<float>(num_bins - 1);
  if (index < num_bins / 2) return from + step * static_cast<float>(index);
  return to - step * static_cast<float>(num_bins - 1 - index);
}

double none(int, int, int, int) { return 0; }
double shear_magnitude(int index, int num_bins, int, int) { return linspace(0.0, 0.3, index, num_bins); }
double across_magnitude(int index, int num_bins, int, int width) {
  return linspace(0.0, 150.0 / 331.0 * width, index, num_bins);
}
double down_magnitude(int index, int num_bins, int height, int) {
  return linspace(0.0, 150.0 / 331.0 * height, index, num_bins);
}
double angle_magnitude(int index, int num_bins, int, int) { return linspace(0.0, 30.0, index, num_bins); }
double factor_magnitude(int index, int num_bins, int, int) { return linspace(0.0, 0.9, index, num_bins); }
double bits_magnitude(int index, int num_bins, int, int) {
  return std::nearbyint(8.0F - static_cast<float>(index) / static_cast<float>((num_bins - 1) / 4.0));
}
double threshold_magnitude(int index, int num_bins, int, int) { return linspace(1.0, 0.0, index, num_bins); }

// torchvision hands shears over in degrees; what that costs in precision shows where a pixel is half way.
double through_degrees(double factor) {
  const double degrees = std::atan(factor) * (180.0 / std::numbers::pi);
  return degrees * (std::numbers::pi / 180.0);
}

template <void (*Adjust)(Image&, double)>
Image enhance(Image image, double magnitude) {
  Adjust(image, 1.0 + magnitude);
  return image;
}

Image move_across(Image image, double magnitude) {
  translate(image, static_cast<int>(magnitude), 0);
  return image;
}

Image move_down(Image image, double magnitude) {
  translate(image, 0, static_cast<int>(magnitude));
  return image;
}

Image shear_rows(Image image, double magnitude) { return shear_x(image, std::tan(through_degrees(magnitude))); }

Image shear_columns(Image image, double magnitude) {
  const double angle = through_degrees(magnitude);
  return shear_y(image, std::sin(angle) / std::cos(angle));
}

Image turn(Image image, double magnitude) { return rotate(image, magnitude); }

Image keep_bits(Image image, double magnitude) {
  posterize(image, static_cast<int>(magnitude));
  return image;
}

Image invert_bright(Image image, double magnitude) {
  solarize(image, 255.0 * magnitude);
  return image;
}

template <void (*Adjust)(Image&)>
Image without_magnitude(Image image, double) {
  Adjust(image);
  return image;
}

Image same(Image image, double) { return image; }

constexpr std::array<RandAugmentOperation, 14> kOperations{{
    {"Identity", false, none, same},
    {"ShearX", true, shear_magnitude, shear_rows},
    {"ShearY", true, shear_magnitude, shear_columns},
    {"TranslateX", true, across_magnitude, move_across},
    {"TranslateY", true, down_magnitude, move_down},
    {"Rotate", true, angle_magnitude, turn},
    {"Brightness", true, factor_magnitude, enhance<adjust_brightness>},
    {"Color", true, factor_magnitude, enhance<adjust_saturation>},
    {"Contrast", true, factor_magnitude, enhance<adjust_contrast>},
    {"Sharpness", true, factor_magnitude, enhance<adjust_sharpness>},
    {"Posterize", false, bits_magnitude, keep_bits},
    {"Solarize", false, threshold_magnitude, invert_bright},
    {"AutoContrast", false, none, without_magnitude<autocontrast>},
    {"Equalize", false, none, without_magnitude<equalize>},
}};

struct RandAugmentConfig {
  int num_ops = 2;
  int magnitude = 9;
  int num_magnitude_bins = 31;

  template <class Visitor>
  void fields(Visitor& v) {
    v("num_ops", num_ops, "Operations drawn for each picture, one after the other.", between(1, 100));
    v("magnitude", magnitude, "How strong all operations are: 0 to num_magnitude_bins - 1.", at_least(0));
    v("num_magnitude_bins", num_magnitude_bins, "Steps from no change to the strongest.", between(2, 10000));
  }
  void check(std::vector<std::string>& problems) const {
    if (magnitude >= num_magnitude_bins)
      problems.push_back(fmt::format("'magnitude' is {}; expected less than num_magnitude_bins, which is {}", magnitude,
                                     num_magnitude_bins));
  }
};

class RandAugment final : public Transform {
 public:
  explicit RandAugment(RandAugmentConfig config) : config_(config) {}

  Image operator()(Image image, Random& random) const override {
    for (int i = 0; i < config_.num_ops; ++i) {
      const auto& operation = kOperations[random.below(kOperations.size())];
      double magnitude = operation.magnitude(config_.magnitude, config_.num_magnitude_bins, image.height, image.width);
      if (operation.is_signed && random.uniform() < 0.5) magnitude = -magnitude;
      image = operation.apply(std::move(image), magnitude);
    }
    return image;
  }

 private:
  RandAugmentConfig config_;
};

}  // namespace

std::span<const RandAugmentOperation> rand_augment_operations() { return kOperations; }

TransformEntry rand_augment_transform() {
  return make_transform_entry<RandAugment, RandAugmentConfig>(
      "rand_augment", "Applies a few operations drawn from fourteen: shears, shifts, turns, colours and grey levels.");
}

}  // namespace capstan
