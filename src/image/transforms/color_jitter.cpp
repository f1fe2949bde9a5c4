// ColorJitter of torchvision: four changes of colour by random factors, in random order.
#include <algorithm>
#include <array>

#include "capstan/image/adjust.h"
#include "image/transform_entry.h"

namespace capstan {
namespace {

struct JitterConfig {
  double brightness = 0;
  double contrast = 0;
  double saturation = 0;
  double hue = 0;

  template <class Visitor>
  void fields(Visitor& v) {
    v("brightness", brightness, "The factor is drawn from [max(0, 1 - brightness), 1 + brightness]; 0 leaves it alone.",
      at_least(0));
    v("contrast", contrast, "The factor is drawn from [max(0, 1 - contrast), 1 + contrast]; 0 leaves it alone.",
      at_least(0));
    v("saturation", saturation, "The factor is drawn from [max(0, 1 - saturation), 1 + saturation]; 0 leaves it alone.",
      at_least(0));
    v("hue", hue,
      "Hues turn by up to this part of the circle of colours, either way; 0 leaves them alone. Captions name colours.",
      between(0, 0.5));
  }
  void check(std::vector<std::string>& problems) const {
    if (brightness == 0 && contrast == 0 && saturation == 0 && hue == 0)
      problems.emplace_back("'brightness', 'contrast', 'saturation' and 'hue' are all 0; expected one above 0");
  }
};

class ColorJitter final : public Transform {
 public:
  explicit ColorJitter(JitterConfig config) : config_(config) {}

  Image operator()(Image image, Random& random) const override {
    std::array<int, 4> order{0, 1, 2, 3};
    random.shuffle(std::span<int>(order));
    const double brightness = factor(config_.brightness, random);
    const double contrast = factor(config_.contrast, random);
    const double saturation = factor(config_.saturation, random);
    const double turn = random.uniform(-config_.hue, config_.hue);
    for (const int change : order) {
      if (change == 0 && config_.brightness > 0) adjust_brightness(image, brightness);
      if (change == 1 && config_.contrast > 0) adjust_contrast(image, contrast);
      if (change == 2 && config_.saturation > 0) adjust_saturation(image, saturation);
      if (change == 3 && config_.hue > 0) adjust_hue(image, turn);
    }
    return image;
  }

 private:
  static double factor(double range, Random& random) { return random.uniform(std::max(0.0, 1 - range), 1 + range); }

  JitterConfig config_;
};

}  // namespace

TransformEntry color_jitter_transform() {
  return make_transform_entry<ColorJitter, JitterConfig>(
      "color_jitter", "Changes brightness, contrast, saturation and hue by random factors, in random order.");
}

}  // namespace capstan
