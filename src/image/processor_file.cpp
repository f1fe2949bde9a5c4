// preprocessor_config.json as transformers' ViTImageProcessor and CLIPImageProcessor write and read it.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/image/processor.h"

namespace capstan {
namespace {

using Json = nlohmann::json;

// Means and deviations of the pictures that CLIP was trained on, CLIPImageProcessor's defaults.
constexpr std::array<double, 3> kClipMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd{0.26862954, 0.26130258, 0.27577711};

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

// "size" or "crop_size": one number, or height and width that are the same.
int read_square(const Reader& reader, const char* key, int value) {
  const Json* size = reader.find(key);
  if (size == nullptr) return value;
  const std::string name = key;
  if (!size->is_object()) return reader.whole(key, *size, 8, 4096);
  if (!size->contains("height") || !size->contains("width"))
    reader.unsupported(fmt::format("\"{}\" is {}; only {{\"height\": H, \"width\": W}} is supported{}", key,
                                   size->dump(), name == "size" ? " without \"do_center_crop\"" : ""));
  const int height = reader.whole((name + ".height").c_str(), size->at("height"), 8, 4096);
  if (height != reader.whole((name + ".width").c_str(), size->at("width"), 8, 4096))
    reader.unsupported(fmt::format("\"{}\" is {}; only square pictures are supported", key, size->dump()));
  return height;
}

// The class in the file, without the suffixes of its variants; empty when it names none.
std::string read_type(const Reader& reader) {
  const Json* type = reader.find("image_processor_type");
  if (type == nullptr) type = reader.find("feature_extractor_type");
  if (type == nullptr) return "";
  std::string name = type->is_string() ? type->get<std::string>() : type->dump();
  for (const std::string_view suffix : {"Fast", "Pil"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

bool is_clip(const std::string& type) { return type == "CLIPImageProcessor" || type == "CLIPFeatureExtractor"; }

void warn_of_other_type(const Reader& reader, const std::string& type) {
  if (type.empty() || is_clip(type)) return;
  for (const char* known : {"ViTImageProcessor", "ViTFeatureExtractor", "DeiTImageProcessor", "DeiTFeatureExtractor",
                            "BeitImageProcessor", "BeitFeatureExtractor"})
    if (type == known) return;
  log_warning(fmt::format("{}: made for {}; it is read as a ViTImageProcessor (resize, rescale, normalise).",
                          reader.path(), type));
}

// The keys about size and cutting. One number as "size" is the shorter side for CLIP and both sides for all others.
void read_geometry(const Reader& reader, bool clip, ImageProcessorConfig& config) {
  config.do_center_crop = reader.flag("do_center_crop", config.do_center_crop);
  if (!config.do_center_crop) {
    config.size = read_square(reader, "size", config.size);
    return;
  }
  const int default_size = config.size;
  config.size = read_square(reader, "crop_size", default_size);
  const Json* size = reader.find("size");
  const bool is_square = size == nullptr || !size->is_object() ? !clip : size->contains("height");
  if (is_square) {
    if (read_square(reader, "size", default_size) != config.size)
      reader.unsupported(
          fmt::format("\"size\" is {} and \"do_center_crop\" is true; cutting a squashed picture is not supported",
                      size == nullptr ? "absent" : size->dump()));
    config.do_center_crop = false;  // nothing is left to cut
    return;
  }
  int edge = default_size;
  if (size != nullptr && !size->is_object()) {
    edge = reader.whole("size", *size, 1, 4096);
  } else if (size != nullptr) {
    if (size->size() != 1 || !size->contains("shortest_edge"))
      reader.unsupported(fmt::format(
          "\"size\" is {}; only {{\"shortest_edge\": S}} is supported with \"do_center_crop\"", size->dump()));
    edge = reader.whole("size.shortest_edge", size->at("shortest_edge"), 1, 4096);
  }
  config.shortest_edge = edge == config.size ? 0 : edge;
}

ImageProcessorConfig defaults_of(const std::string& type) {
  ImageProcessorConfig config;
  if (!is_clip(type)) return config;
  config.do_center_crop = true;
  config.resample = static_cast<int>(Resample::kBicubic);
  config.image_mean.assign(kClipMean.begin(), kClipMean.end());
  config.image_std.assign(kClipStd.begin(), kClipStd.end());
  return config;
}

}  // namespace

ImageProcessor ImageProcessor::from_pretrained(const std::filesystem::path& directory) {
  const Reader reader(directory / kFileName);
  const std::string type = read_type(reader);
  warn_of_other_type(reader, type);
  ImageProcessorConfig config = defaults_of(type);
  if (!reader.flag("do_resize", true)) reader.unsupported("\"do_resize\" is false; the encoder needs one fixed size");
  read_geometry(reader, is_clip(type), config);
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
  const bool crops = config_.do_center_crop;
  json["image_processor_type"] = crops ? "CLIPImageProcessor" : "ViTImageProcessor";
  json["do_resize"] = true;
  if (crops) {
    json["size"]["shortest_edge"] = wanted_size().width;
    json["do_center_crop"] = true;
  }
  nlohmann::ordered_json& square = json[crops ? "crop_size" : "size"];
  square["height"] = config_.size;
  square["width"] = config_.size;
  if (crops) json["do_convert_rgb"] = true;
  json["resample"] = config_.resample;
  json["do_rescale"] = true;
  json["rescale_factor"] = config_.rescale_factor;
  json["do_normalize"] = true;
  json["image_mean"] = config_.image_mean;
  json["image_std"] = config_.image_std;
  write_json(directory / kFileName, json);
}

}  // namespace capstan
