// RandomHorizontalFlip of torchvision.
#include "capstan/image/geometry.h"
#include "image/transform_entry.h"

namespace capstan {
namespace {

struct FlipConfig {
  double p = 0.5;

  template <class Visitor>
  void fields(Visitor& v) {
    v("p", p, "Probability that a picture is mirrored. Its captions stay: what they say of left and right turns wrong.",
      between(0, 1));
  }
};

class HorizontalFlip final : public Transform {
 public:
  explicit HorizontalFlip(FlipConfig config) : config_(config) {}

  Image operator()(Image image, Random& random) const override {
    if (random.uniform() < config_.p) flip_horizontal(image);
    return image;
  }

 private:
  FlipConfig config_;
};

}  // namespace

TransformEntry horizontal_flip_transform() {
  return make_transform_entry<HorizontalFlip, FlipConfig>(
      "horizontal_flip",
      "Mirrors pictures left to right. Warning: captions say left and right (and writing is mirrored too), so "
      "leave it out unless yours do not.");
}

}  // namespace capstan
