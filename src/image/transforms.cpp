// The list of transforms, filled from transforms.def, and sequences of them.
#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/image/transform.h"

namespace capstan {

#define CAPSTAN_TRANSFORM(name) TransformEntry name##_transform();
#include "image/transforms.def"
#undef CAPSTAN_TRANSFORM

const Registry<TransformEntry>& transforms() {
  static const Registry<TransformEntry> registry = [] {
    Registry<TransformEntry> list("transform");
#define CAPSTAN_TRANSFORM(name) list.add(name##_transform());
#include "image/transforms.def"
#undef CAPSTAN_TRANSFORM
    return list;
  }();
  return registry;
}

Augmentation::Augmentation(const std::vector<config::Component>& steps, config::Problems& problems) {
  for (const auto& step : steps) {
    if (step.name.empty()) continue;  // already reported by the reader
    try {
      steps_.push_back(transforms().find(step.name).make(step.config, problems));
    } catch (const ConfigError& error) {
      problems.add(step.config, error.what());
    }
  }
}

Image Augmentation::operator()(Image image, Random& random) const {
  const int height = image.height;
  const int width = image.width;
  for (const auto& step : steps_) image = (*step)(std::move(image), random);
  CAPSTAN_ASSERT(image.height == height && image.width == width);
  return image;
}

void Augmentation::apply(std::span<std::uint8_t> pixels_HWC, int height, int width, Random& random) const {
  CAPSTAN_ASSERT(pixels_HWC.size() == static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  if (steps_.empty()) return;
  Image image{.height = height, .width = width, .rgb = {pixels_HWC.begin(), pixels_HWC.end()}};
  image = (*this)(std::move(image), random);
  std::copy(image.rgb.begin(), image.rgb.end(), pixels_HWC.begin());
}

Random Augmentation::random(std::uint64_t seed, std::uint64_t epoch, std::uint64_t sample) {
  return Random(stream_seed(stream_seed(seed, "augment", epoch), "sample", sample));
}

}  // namespace capstan
