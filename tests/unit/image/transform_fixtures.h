// Transforms by name and pictures to try them on.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "capstan/config/load.h"
#include "capstan/core/error.h"
#include "capstan/image/transform.h"

namespace capstan::testing {

// ConfigError when `yaml` has problems.
inline std::unique_ptr<Transform> make_transform(const std::string& name, const std::string& yaml) {
  config::Problems problems;
  auto transform = transforms().find(name).make(config::parse_yaml(yaml, "run.yaml"), problems);
  problems.throw_if_any();
  return transform;
}

inline Image noise(int height, int width, std::uint64_t seed, int low = 0, int high = 255) {
  Random random(seed);
  Image image{.height = height, .width = width, .rgb = {}};
  image.rgb.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  for (auto& sample : image.rgb) sample = static_cast<std::uint8_t>(random.between(low, high));
  return image;
}

// Red is the column, green the row, blue 255: where a pixel came from can be read off it, and black came from nowhere.
inline Image map_of_pixels(int height, int width) {
  Image image{.height = height, .width = width, .rgb = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      image.rgb.insert(image.rgb.end(), {static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(y), 255});
  return image;
}

inline bool same(const Image& a, const Image& b) {
  return a.height == b.height && a.width == b.width && a.rgb == b.rgb;
}

// The pixels as a key for maps and sets.
inline std::string key_of(const Image& image) { return {image.rgb.begin(), image.rgb.end()}; }

}  // namespace capstan::testing
