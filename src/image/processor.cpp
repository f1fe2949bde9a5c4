// What transformers' ViTImageProcessor and CLIPImageProcessor do to pixels.
#include "capstan/image/processor.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr std::int64_t kMaxSide = 100'000'000;

// How a line of `length` pixels gives `size`: what is taken from where, and where it lies in the result.
struct Middle {
  int from = 0;
  int count = 0;
  int to = 0;
};

// transformers rounds down where it cuts and up where it fills.
Middle middle(int length, int size) {
  if (length >= size) return {.from = (length - size) / 2, .count = size};
  return {.count = length, .to = (size - length + 1) / 2};
}

}  // namespace

void ImageProcessorConfig::check(std::vector<std::string>& problems) const {
  if (image_mean.size() != 3 || image_std.size() != 3)
    problems.push_back(fmt::format("image_mean has {} and image_std {} numbers; expected 3 each", image_mean.size(),
                                   image_std.size()));
  for (const double deviation : image_std)
    if (!(deviation > 0)) problems.push_back(fmt::format("image_std holds {}; expected numbers above 0", deviation));
  if (shortest_edge > 0 && !do_center_crop)
    problems.push_back(
        fmt::format("shortest_edge is {}, but do_center_crop is false; set it to true or leave "
                    "shortest_edge out",
                    shortest_edge));
}

ImageProcessor::ImageProcessor(ImageProcessorConfig config) : config_(std::move(config)) {
  std::vector<std::string> problems;
  config_.check(problems);
  if (!problems.empty()) throw ConfigError("image processor: " + join(problems, "; ") + ".");
}

WantedSize ImageProcessor::wanted_size() const {
  const int side = config_.shortest_edge > 0 ? config_.shortest_edge : config_.size;
  return {.height = side, .width = side};
}

Image ImageProcessor::resize(const Image& image) const {
  const auto resample = static_cast<Resample>(config_.resample);
  const int size = config_.size;
  if (!config_.do_center_crop) return capstan::resize(image, size, size, resample);
  const int shorter = wanted_size().width;
  const auto [low, high] = std::minmax(image.height, image.width);
  const auto longer = static_cast<std::int64_t>(static_cast<double>(std::int64_t{shorter} * high) / low);
  if (longer > kMaxSide)
    throw DataError(fmt::format("a picture of {}x{} pixels is too narrow to make its shorter side {}", image.width,
                                image.height, shorter));
  const int height = image.height < image.width ? shorter : static_cast<int>(longer);
  const int width = image.height < image.width ? static_cast<int>(longer) : shorter;
  const Middle rows = middle(height, size);
  const Middle columns = middle(width, size);
  Image part = resize_region(image, height, width, resample,
                             {.top = rows.from, .left = columns.from, .height = rows.count, .width = columns.count});
  if (part.height == size && part.width == size) return part;
  const auto row_size = static_cast<std::ptrdiff_t>(size) * 3;
  Image filled{
      .height = size, .width = size, .rgb = std::vector<std::uint8_t>(static_cast<std::size_t>(size * row_size))};
  for (int y = 0; y < part.height; ++y)
    std::copy_n(part.rgb.data() + std::ptrdiff_t{y} * part.width * 3, part.width * 3,
                filled.rgb.data() + (rows.to + y) * row_size + columns.to * 3);
  return filled;
}

namespace {

// [C, 1, 1]. Filled one by one, because a copy from the CPU would wait for a GPU.
at::Tensor channel_values(const std::vector<double>& values, const at::TensorOptions& options) {
  at::Tensor result_C11 = at::empty({static_cast<std::int64_t>(values.size()), 1, 1}, options);
  for (std::size_t c = 0; c < values.size(); ++c) result_C11.select(0, static_cast<std::int64_t>(c)).fill_(values[c]);
  return result_C11;
}

}  // namespace

at::Tensor ImageProcessor::normalize(const at::Tensor& pixels_BHWC) const {
  CAPSTAN_ASSERT(pixels_BHWC.scalar_type() == at::kByte && pixels_BHWC.size(-1) == 3);
  const at::Tensor batch_BHWC = pixels_BHWC.dim() == 3 ? pixels_BHWC.unsqueeze(0) : pixels_BHWC;
  CAPSTAN_ASSERT(batch_BHWC.dim() == 4);
  // Step by step in float32, as transformers does it, so that results differ by rounding at most.
  const auto options = at::TensorOptions().dtype(at::kFloat).device(batch_BHWC.device());
  const at::Tensor mean_C11 = channel_values(config_.image_mean, options);
  const at::Tensor std_C11 = channel_values(config_.image_std, options);
  at::Tensor out_BCHW = batch_BHWC.permute({0, 3, 1, 2}).to(at::kFloat, false, true, at::MemoryFormat::Contiguous);
  return out_BCHW.mul_(config_.rescale_factor).sub_(mean_C11).div_(std_C11);
}

at::Tensor ImageProcessor::operator()(const Image& image) const {
  Image resized = resize(image);
  const at::Tensor pixels_HWC = at::from_blob(resized.rgb.data(), {resized.height, resized.width, 3}, at::kByte);
  return normalize(pixels_HWC);
}

}  // namespace capstan
