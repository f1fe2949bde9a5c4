// preprocessor_config.json: how a picture becomes what a vision encoder was trained on. Two ways to a square: squashing
// (ViTImageProcessor), or resizing by the shorter side and cutting out the middle (CLIPImageProcessor).
#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/image/decode.h"
#include "capstan/image/image.h"
#include "capstan/image/resize.h"

namespace capstan {

struct ImageProcessorConfig {
  int size = 224;               // height and width of what comes out
  bool do_center_crop = false;  // keeps the proportions and cuts off the ends of the longer side
  int shortest_edge = 0;        // with do_center_crop: the shorter side before cutting; 0 means size
  int resample = 2;             // Pillow's number: 2 bilinear, 3 bicubic
  double rescale_factor = 1.0 / 255.0;
  std::vector<double> image_mean{0.5, 0.5, 0.5};
  std::vector<double> image_std{0.5, 0.5, 0.5};

  template <class Visitor>
  void fields(Visitor& v) {
    v("size", size, "Height and width of the picture the encoder sees, in pixels.", between(8, 4096));
    v("do_center_crop", do_center_crop,
      "false: the picture is squashed to a square. true: it keeps its proportions and the middle is cut out.");
    v("shortest_edge", shortest_edge,
      "With do_center_crop: the shorter side is resized to this before the middle is cut out; 0 means size.",
      between(0, 4096));
    v("resample", resample,
      "Pillow's number of the resampling filter: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming.",
      between(0, 5));
    v("rescale_factor", rescale_factor, "Grey levels are multiplied by this before normalisation.", above(0));
    v("image_mean", image_mean, "Mean of each channel after rescaling.");
    v("image_std", image_std, "Standard deviation of each channel after rescaling.");
  }
  // Three channels, no deviation of zero, shortest_edge only with do_center_crop.
  void check(std::vector<std::string>& problems) const;
};

class ImageProcessor {
 public:
  explicit ImageProcessor(ImageProcessorConfig config = {});  // ConfigError when config.check() finds something
  // Reads / writes preprocessor_config.json in `directory`, as a ViTImageProcessor or, with do_center_crop, as a
  // CLIPImageProcessor. A missing file or a wrong value is a DataError; steps that are not done here (results that are
  // not square, cutting after squashing, no resizing) are an UnsupportedError. do_rescale and do_normalize set to
  // false become a factor of 1, a mean of 0 and a deviation of 1: the same arithmetic.
  static ImageProcessor from_pretrained(const std::filesystem::path& directory);
  void save_pretrained(const std::filesystem::path& directory) const;

  // The picture as size x size pixels. Where shortest_edge is below size, black fills the rest, as in transformers.
  // DataError for pictures so narrow that their longer side would get more than 100 million pixels.
  Image resize(const Image& image) const;
  // What resize() makes of any picture needs no more pixels than this; for decode_image().
  WantedSize wanted_size() const;
  // uint8 [B, H, W, 3] or [H, W, 3] -> float32 [B, 3, H, W], contiguous, on the same device:
  // (pixel * rescale_factor - image_mean) / image_std. B is 1 for a single picture.
  at::Tensor normalize(const at::Tensor& pixels_BHWC) const;
  // File to model input: float32 [1, 3, size, size].
  at::Tensor operator()(const Image& image) const;

  const ImageProcessorConfig& config() const { return config_; }

 private:
  ImageProcessorConfig config_;
};

}  // namespace capstan
