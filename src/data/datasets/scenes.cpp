// Scenes are written once as ordinary files in the COCO layout and then read through the COCO reader.
#include "capstan/data/scenes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/progress.h"
#include "capstan/data/coco.h"
#include "capstan/image/decode.h"
#include "data/source_entry.h"

namespace capstan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kManifest = "scenes.json";
constexpr const char* kFormat = "capstan scenes 1";  // another number when the same settings would give other files
constexpr int kJpegQuality = 92;
constexpr std::uint64_t kMostTries = 10'000;  // scenes thrown away per picture before something must be wrong
constexpr double kLeastShare = 0.05;          // of all contents, so that even a tiny split is varied

Json manifest_of(const ScenesConfig& config) {
  return {{"format", kFormat},   {"train", config.train},           {"validation", config.validation},
          {"test", config.test}, {"image_size", config.image_size}, {"max_objects", config.max_objects},
          {"seed", config.seed}};
}

// Whether `folder` already holds these pictures. DataError when it holds anything else.
bool already_written(const fs::path& folder, const Json& manifest) {
  if (!fs::exists(folder)) return false;
  if (!fs::is_directory(folder))
    throw DataError(fmt::format("{}: is a file; expected a folder for the scenes' pictures.", folder.string()));
  if (fs::is_empty(folder)) return false;
  const fs::path path = folder / kManifest;
  if (!fs::exists(path))
    throw DataError(
        fmt::format("{}: holds files that are no scenes ({} is missing); choose an empty folder with "
                    "folder: DIR.",
                    folder.string(), kManifest));
  const auto found = read_json(path);
  if (found == nlohmann::json(manifest)) return true;
  throw DataError(
      fmt::format("{}: holds scenes drawn with other settings: found {}, expected {}. Remove the folder "
                  "or choose another with folder: DIR.",
                  folder.string(), found.dump(), nlohmann::json(manifest).dump()));
}

// Deals contents out to splits by their hash: the same content always goes to the same split.
class SplitOfContent {
 public:
  explicit SplitOfContent(const std::array<int, 3>& counts) {
    const double total = counts[0] + counts[1] + counts[2];
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      sum += counts[i] == 0 ? 0 : std::max(counts[i] / total, kLeastShare);
      ends_[i] = sum;
    }
  }
  std::size_t operator()(const std::string& content) const {
    const double at = static_cast<double>(stable_hash(content) >> 11) * 0x1p-53 * ends_[2];
    return at < ends_[0] ? 0 : at < ends_[1] ? 1 : 2;
  }

 private:
  std::array<double, 3> ends_{};
};

// One split's captions file while it grows.
struct Annotations {
  int next_image = 1;
  int num_images = 0;
  Json images = Json::array();
  Json annotations = Json::array();

  void add(const Scene& scene, const std::string& file_name, int size, int image_id) {
    images.push_back({{"id", image_id}, {"file_name", file_name}, {"height", size}, {"width", size}});
    const auto captions = scene_captions(scene);
    for (std::size_t i = 0; i < captions.size(); ++i)
      annotations.push_back({{"id", (image_id - 1) * static_cast<int>(captions.size()) + static_cast<int>(i) + 1},
                             {"image_id", image_id},
                             {"caption", captions[i]}});
  }
};

void write_picture(const fs::path& path, const Image& image) {
  const std::string bytes = encode_jpeg(image, kJpegQuality);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw DataError(fmt::format("{}: cannot write the picture; is the disk full?", path.string()));
}

void draw_all(const ScenesConfig& config, const fs::path& folder) {
  const std::array<int, 3> wanted{config.train, config.validation, config.test};
  const SplitOfContent split_of(wanted);
  std::array<Annotations, 3> splits;
  splits[1].next_image = config.train + 1;
  splits[2].next_image = config.train + config.validation + 1;
  for (const auto& split : scene_splits()) fs::create_directories(folder / split);
  const std::int64_t total = std::int64_t{config.train} + config.validation + config.test;
  Progress progress("scenes", total, "pictures");
  std::int64_t drawn = 0;
  for (std::uint64_t number = 0; drawn < total; ++number) {
    Random random(stream_seed(static_cast<std::uint64_t>(config.seed), "scene", number));
    const Scene scene = make_scene(random, config.max_objects);
    const std::size_t s = split_of(scene_content(scene));
    Annotations& split = splits[s];
    if (split.num_images == wanted[s]) {
      CAPSTAN_ASSERT(number < kMostTries * static_cast<std::uint64_t>(total + 1));
      continue;
    }
    const int image_id = split.next_image++;
    const std::string file_name = fmt::format("{:06}.jpg", image_id);
    write_picture(folder / scene_splits()[s] / file_name, draw_scene(scene, config.image_size, random));
    split.add(scene, file_name, config.image_size, image_id);
    ++split.num_images;
    ++drawn;
    progress.advance(1);
  }
  for (std::size_t s = 0; s < splits.size(); ++s) {
    Json json;
    json["info"] = {{"description", "Coloured shapes drawn by capstan"}, {"version", kFormat}};
    json["images"] = std::move(splits[s].images);
    json["annotations"] = std::move(splits[s].annotations);
    fs::create_directories(folder / "annotations");
    write_json(folder / "annotations" / fmt::format("captions_{}.json", scene_splits()[s]), json);
  }
}

class Scenes final : public SourceFormat {
 public:
  explicit Scenes(ScenesConfig config) : config_(std::move(config)) {}

  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const override {
    write_scenes(config_);
    const fs::path folder = config_.folder;
    const std::array<int, 3> counts{config_.train, config_.validation, config_.test};
    for (std::size_t s = 0; s < counts.size(); ++s) {
      if (counts[s] == 0) continue;
      const std::string& split = scene_splits()[s];
      for (CaptionedImage& image :
           read_coco(folder / "annotations" / ("captions_" + split + ".json"), folder / split, split, ledger))
        if (!offer(std::move(image))) return;
    }
  }

  std::string describe() const override { return config_.folder; }

 private:
  ScenesConfig config_;
};

}  // namespace

void ScenesConfig::check(std::vector<std::string>& problems) const {
  if (folder.empty()) problems.emplace_back("the scenes source needs a 'folder' to write its pictures to");
  if (train == 0 && validation == 0 && test == 0)
    problems.emplace_back("'train', 'validation' and 'test' are all 0; expected at least one picture");
}

const std::vector<std::string>& scene_splits() {
  static const std::vector<std::string> splits{"train", "validation", "test"};
  return splits;
}

void write_scenes(const ScenesConfig& config) {
  const Json manifest = manifest_of(config);
  if (already_written(config.folder, manifest)) return;
  write_directory_atomic(config.folder, [&](const fs::path& folder) {
    draw_all(config, folder);
    write_json(folder / kManifest, manifest);
  });
}

SourceEntry scenes_source() {
  return make_source_entry<Scenes, ScenesConfig>(
      "scenes", "Built-in drawings of coloured shapes, five captions each; needs no download.");
}

}  // namespace capstan
