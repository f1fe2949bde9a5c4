// RandomCrop of torchvision for an output as large as the input: the picture moves by up to `padding` pixels.
#include "capstan/config/read.h"
#include "capstan/config/write.h"
#include "capstan/image/geometry.h"
#include "capstan/image/transform.h"

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
  return {.name = "random_crop",
          .summary = "Moves pictures by a few pixels: a random piece, as large as the picture, of the padded picture.",
          .make = [](const config::Node& node, config::Problems& problems) -> std::unique_ptr<Transform> {
            CropConfig config;
            config::read(node, config, problems);
            return std::make_unique<RandomCrop>(config);
          },
          .document = [] { return config::document_fields<CropConfig>(); }};
}

}  // namespace capstan
