// RandomCrop of torchvision for an output as large as the input: the picture moves by up to `padding` pixels.
#include "capstan/image/geometry.h"
#include "image/transform_entry.h"

namespace capstan {
namespace {

struct CropConfig {
  int padding = 8;

  template <class Visitor>
  void fields(Visitor& v) {
    v("padding", padding, "Black pixels put around the picture before a piece of its size is cut out at random.",
      between(1, 4096));
  }
};

class RandomCrop final : public Transform {
 public:
  explicit RandomCrop(CropConfig config) : config_(config) {}

  Image operator()(Image image, Random& random) const override {
    const auto down = random.between(-config_.padding, config_.padding);
    const auto right = random.between(-config_.padding, config_.padding);
    translate(image, static_cast<int>(right), static_cast<int>(down));
    return image;
  }

 private:
  CropConfig config_;
};

}  // namespace

TransformEntry random_crop_transform() {
  return make_transform_entry<RandomCrop, CropConfig>(
      "random_crop", "Moves pictures by a few pixels: a random piece, as large as the picture, of the padded picture.");
}

}  // namespace capstan
