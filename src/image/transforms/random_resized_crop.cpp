// RandomResizedCrop of torchvision (Szegedy et al., 2015), resized to the size of the picture, with a resampling filter
// drawn for each picture.
#include <fmt/format.h>

#include <cmath>

#include "capstan/config/write.h"
#include "capstan/image/geometry.h"
#include "capstan/image/resize.h"
#include "image/transform_entry.h"

namespace capstan {
namespace {

constexpr int kTries = 10;

void check_range(const char* name, const std::vector<double>& range, std::vector<std::string>& problems) {
  if (range.size() != 2 || range[0] > range[1])
    problems.push_back(
        fmt::format("'{}' is {}; expected two numbers, the smaller one first", name, config::format_value(range)));
}

struct ResizedCropConfig {
  std::vector<double> scale{0.08, 1.0};
  std::vector<double> ratio{3.0 / 4.0, 4.0 / 3.0};
  std::vector<int> resample{2};

  template <class Visitor>
  void fields(Visitor& v) {
    v("scale", scale,
      "Least and largest share of the picture's area that is kept. Captions tell of the whole picture, so little parts "
      "may miss what they name.",
      Limits{.min = 0, .max = 1, .above_min = true});
    v("ratio", ratio, "Least and largest width of the part divided by its height, before it is resized.", above(0));
    v("resample", resample,
      "Pillow's numbers of resampling filters, one of which is drawn for each picture: 0 nearest, 1 Lanczos, "
      "2 bilinear, 3 bicubic, 4 box, 5 Hamming.",
      between(0, 5));
  }
  void check(std::vector<std::string>& problems) const {
    check_range("scale", scale, problems);
    check_range("ratio", ratio, problems);
    if (resample.empty()) problems.emplace_back("'resample' is empty; expected at least one filter number");
  }
};

struct Box {
  int top;
  int left;
  int height;
  int width;
};

class RandomResizedCrop final : public Transform {
 public:
  explicit RandomResizedCrop(ResizedCropConfig config) : config_(std::move(config)) {}

  Image operator()(Image image, Random& random) const override {
    const Box box = draw_box(image.height, image.width, random);
    const auto filter = static_cast<Resample>(config_.resample[random.below(config_.resample.size())]);
    if (box.height == image.height && box.width == image.width) return image;
    return resize(crop(image, box.top, box.left, box.height, box.width), image.height, image.width, filter);
  }

 private:
  Box draw_box(int height, int width, Random& random) const {
    const double area = static_cast<double>(height) * width;
    for (int i = 0; i < kTries; ++i) {
      const double kept = area * random.uniform(config_.scale[0], config_.scale[1]);
      const double ratio = std::exp(random.uniform(std::log(config_.ratio[0]), std::log(config_.ratio[1])));
      // Compared before they become integers, because a long thin part of a large picture may not be one.
      const double box_width = std::nearbyint(std::sqrt(kept * ratio));
      const double box_height = std::nearbyint(std::sqrt(kept / ratio));
      if (box_width < 1 || box_width > width || box_height < 1 || box_height > height) continue;
      const Box box{0, 0, static_cast<int>(box_height), static_cast<int>(box_width)};
      return {static_cast<int>(random.between(0, height - box.height)),
              static_cast<int>(random.between(0, width - box.width)), box.height, box.width};
    }
    return central_box(height, width);
  }

  // The largest part in the middle whose ratio is allowed.
  Box central_box(int height, int width) const {
    const double ratio = static_cast<double>(width) / height;
    Box box{0, 0, height, width};
    if (ratio < config_.ratio[0]) box.height = std::max(1, static_cast<int>(std::nearbyint(width / config_.ratio[0])));
    if (ratio > config_.ratio[1]) box.width = std::max(1, static_cast<int>(std::nearbyint(height * config_.ratio[1])));
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
  }

  ResizedCropConfig config_;
};

}  // namespace

TransformEntry random_resized_crop_transform() {
  return make_transform_entry<RandomResizedCrop, ResizedCropConfig>(
      "random_resized_crop", "Cuts out a part of random area and shape and resizes it to the size of the picture.");
}

}  // namespace capstan
