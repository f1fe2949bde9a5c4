// preprocessor_config.json as transformers' ViTImageProcessor writes and reads it.
#include "capstan/image/processor.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

using Json = nlohmann::json;

constexpr const char* kFileName = "preprocessor_config.json";

// Typed access to the keys of one file, with its name in every message.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()), json_(read_json(path)) {
    if (!json_.is_object()) throw DataError(path_ + ": found no JSON object; expected an image processor's settings.");
  }

  // Null counts as absent, as in transformers.
  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  bool flag(const char* key, bool value) const {
    const Json* found = find(key);
    if (found == nullptr) return value;
    if (!found->is_boolean()) wrong(key, *found, "true or false");
    return found->get<bool>();
  }
  double number(const char* key, double value) const {
    const Json* found = find(key);
    if (found == nullptr) return value;
    if (!found->is_number()) wrong(key, *found, "a number");
    return found->get<double>();
  }
  // One number stands for all three channels.
  std::vector<double> channels(const char* key, std::vector<double> value) const {
    const Json* found = find(key);
    if (found == nullptr) return value;
    if (found->is_number()) return std::vector<double>(3, found->get<double>());
    if (!found->is_array()) wrong(key, *found, "a list of 3 numbers");
    value.clear();
    for (const Json& entry : *found) {
      if (!entry.is_number()) wrong(key, *found, "a list of 3 numbers");
      value.push_back(entry.get<double>());
    }
    return value;
  }
  int whole(const char* key, const Json& found, int low, int high) const {
    const bool fits = found.is_number_integer() && found.get<double>() >= low && found.get<double>() <= high;
    if (!fits) wrong(key, found, fmt::format("a whole number from {} to {}", low, high));
    return found.get<int>();
  }
  [[noreturn]] void wrong(const char* key, const Json& found, const std::string& expected) const {
    throw DataError(fmt::format("{}: \"{}\" is {}; expected {}.", path_, key, found.dump(), expected));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw UnsupportedError(fmt::format("{}: {}.", path_, what));
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Json json_;
};

int read_size(const Reader& reader, int value) {
  const Json* size = reader.find("size");
  if (size == nullptr) return value;
  if (!size->is_object()) return reader.whole("size", *size, 8, 4096);
  if (!size->contains("height") || !size->contains("width"))
    reader.unsupported(fmt::format("\"size\" is {}; only {{\"height\": H, \"width\": W}} is supported", size->dump()));
  const int height = reader.whole("size.height", size->at("height"), 8, 4096);
  if (height != reader.whole("size.width", size->at("width"), 8, 4096))
    reader.unsupported(fmt::format("\"size\" is {}; only square pictures are supported", size->dump()));
  return height;
}

void warn_of_other_type(const Reader& reader) {
  const Json* type = reader.find("image_processor_type");
  if (type == nullptr) type = reader.find("feature_extractor_type");
  if (type == nullptr) return;
  std::string name = type->is_string() ? type->get<std::string>() : type->dump();
  for (const std::string_view suffix : {"Fast", "Pil"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  for (const char* known : {"ViTImageProcessor", "ViTFeatureExtractor", "DeiTImageProcessor", "DeiTFeatureExtractor",
                            "BeitImageProcessor", "BeitFeatureExtractor"})
    if (name == known) return;
  log_warning(fmt::format("{}: made for {}; it is read as a ViTImageProcessor (resize, rescale, normalise).",
                          reader.path(), name));
}

}  // namespace

void ImageProcessorConfig::check(std::vector<std::string>& problems) const {
  if (image_mean.size() != 3 || image_std.size() != 3)
    problems.push_back(fmt::format("image_mean has {} and image_std {} numbers; expected 3 each", image_mean.size(),
                                   image_std.size()));
  for (const double deviation : image_std)
    if (!(deviation > 0)) problems.push_back(fmt::format("image_std holds {}; expected numbers above 0", deviation));
}

ImageProcessor::ImageProcessor(ImageProcessorConfig config) : config_(std::move(config)) {
  std::vector<std::string> problems;
  config_.check(problems);
  if (!problems.empty()) throw ConfigError("image processor: " + join(problems, "; ") + ".");
}

ImageProcessor ImageProcessor::from_pretrained(const std::filesystem::path& directory) {
  const Reader reader(directory / kFileName);
  warn_of_other_type(reader);
  ImageProcessorConfig config;
  if (!reader.flag("do_resize", true)) reader.unsupported("\"do_resize\" is false; the encoder needs one fixed size");
  if (reader.flag("do_center_crop", false)) reader.unsupported("\"do_center_crop\" is true; cropping is not supported");
  config.size = read_size(reader, config.size);
  if (const Json* resample = reader.find("resample")) config.resample = reader.whole("resample", *resample, 0, 5);
  config.rescale_factor = reader.number("rescale_factor", config.rescale_factor);
  if (!reader.flag("do_rescale", true)) config.rescale_factor = 1.0;
  config.image_mean = reader.channels("image_mean", config.image_mean);
  config.image_std = reader.channels("image_std", config.image_std);
  if (!reader.flag("do_normalize", true)) {
    config.image_mean = {0, 0, 0};
    config.image_std = {1, 1, 1};
  }
  std::vector<std::string> problems;
  config.check(problems);
  if (!problems.empty()) throw DataError(fmt::format("{}: {}.", reader.path(), join(problems, "; ")));
  return ImageProcessor(std::move(config));
}

void ImageProcessor::save_pretrained(const std::filesystem::path& directory) const {
  nlohmann::ordered_json json;
  json["image_processor_type"] = "ViTImageProcessor";
  json["do_resize"] = true;
  json["size"]["height"] = config_.size;
  json["size"]["width"] = config_.size;
  json["resample"] = config_.resample;
  json["do_rescale"] = true;
  json["rescale_factor"] = config_.rescale_factor;
  json["do_normalize"] = true;
  json["image_mean"] = config_.image_mean;
  json["image_std"] = config_.image_std;
  write_json(directory / kFileName, json);
}

Image ImageProcessor::resize(const Image& image) const {
  return capstan::resize(image, config_.size, config_.size, static_cast<Resample>(config_.resample));
}

at::Tensor ImageProcessor::normalize(const at::Tensor& pixels_BHWC) const {
  CAPSTAN_ASSERT(pixels_BHWC.scalar_type() == at::kByte && pixels_BHWC.size(-1) == 3);
  const at::Tensor batch_BHWC = pixels_BHWC.dim() == 3 ? pixels_BHWC.unsqueeze(0) : pixels_BHWC;
  CAPSTAN_ASSERT(batch_BHWC.dim() == 4);
  // Step by step in float32, as transformers does it, so that results differ by rounding at most.
  const auto options = at::TensorOptions().dtype(at::kFloat).device(batch_BHWC.device());
  const at::Tensor mean_C11 = at::tensor(config_.image_mean, options).view({3, 1, 1});
  const at::Tensor std_C11 = at::tensor(config_.image_std, options).view({3, 1, 1});
  at::Tensor out_BCHW = batch_BHWC.permute({0, 3, 1, 2}).to(at::kFloat, false, true, at::MemoryFormat::Contiguous);
  return out_BCHW.mul_(config_.rescale_factor).sub_(mean_C11).div_(std_C11);
}

at::Tensor ImageProcessor::operator()(const Image& image) const {
  Image resized = resize(image);
  const at::Tensor pixels_HWC = at::from_blob(resized.rgb.data(), {resized.height, resized.width, 3}, at::kByte);
  return normalize(pixels_HWC);
}

}  // namespace capstan
