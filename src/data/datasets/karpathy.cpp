// Karpathy and Fei-Fei's captions: dataset_coco.json, dataset_flickr8k.json and dataset_flickr30k.json, with the split
// of every picture. Format: "images": [{"split", "filepath" (COCO only), "filename", "sentences": [{"raw", ...}]}].
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "capstan/core/error.h"
#include "data/image_root.h"
#include "data/json_records.h"
#include "data/rows.h"
#include "data/source_entry.h"
#include "data/split_rule.h"

namespace capstan {
namespace {

using nlohmann::json;

struct KarpathyConfig {
  std::string annotations;
  std::string images;
  std::string restval = "train";

  template <class Visitor>
  void fields(Visitor& v) {
    v("annotations", annotations, "dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json.");
    v("images", images, "Folder of the pictures; for COCO the one that holds train2014 and val2014.");
    v("restval", restval, "Where the 30,504 COCO pictures of split restval go; drop leaves them out.",
      one_of({"train", "drop", "validation"}));
  }
  void check(std::vector<std::string>& problems) const {
    if (annotations.empty()) problems.emplace_back("the karpathy source needs 'annotations', as dataset_coco.json");
    if (images.empty()) problems.emplace_back("the karpathy source needs 'images', the folder of the pictures");
  }
};

std::string text_of(const json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

class Karpathy final : public SourceFormat {
 public:
  explicit Karpathy(KarpathyConfig config) : config_(std::move(config)) {}

  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const override {
    const ImageRoot root(config_.images, config_.annotations, "images");
    std::size_t next = 0;
    const auto take = [&](json& record) {
      const std::string place = fmt::format("{}: images[{}]", config_.annotations, next++);
      auto image = image_of(record, place, root, ledger);
      return !image || offer(std::move(*image));
    };
    if (!read_json_list(config_.annotations, "images", take))
      throw DataError(
          fmt::format("{}: found no list 'images', expected a file as dataset_coco.json", config_.annotations));
  }

  std::string describe() const override { return config_.annotations + ", restval: " + config_.restval; }

 private:
  std::optional<CaptionedImage> image_of(const json& record, const std::string& place, const ImageRoot& root,
                                         std::vector<LedgerEntry>& ledger) const {
    const auto skip = [&](const std::string& where, std::string reason) {
      ledger.push_back({where, std::move(reason)});
      return std::nullopt;
    };
    const bool is_object = record.is_object();
    const std::string file_name = is_object ? text_of(record, "filename") : "";
    if (file_name.empty()) return skip(place, "the record needs a 'filename'");
    const std::string folder = text_of(record, "filepath");
    const std::string name = folder.empty() ? file_name : folder + "/" + file_name;
    std::string split = text_of(record, "split");
    if (split == "restval") split = config_.restval;
    if (split == "drop") return std::nullopt;
    ImageRoot::Found found = root.find(name);
    if (found.problem != nullptr) return skip(place, std::string(found.problem) + ": " + name);
    CaptionedImage image{.image_id = file_name,
                         .file = std::move(found.file),
                         .split = canonical_split(split),
                         .captions = {},
                         .name = name};
    const auto id = record.find("cocoid");
    if (id != record.end() && id->is_number_integer()) image.image_id = id->dump();
    add_captions(record, place, image, ledger);
    if (image.captions.empty()) return skip(place, "the image has no caption: " + name);
    return image;
  }

  static void add_captions(const json& record, const std::string& place, CaptionedImage& image,
                           std::vector<LedgerEntry>& ledger) {
    const auto sentences = record.find("sentences");
    if (sentences == record.end() || !sentences->is_array()) return;
    for (std::size_t i = 0; i < sentences->size(); ++i) {
      const json& sentence = (*sentences)[i];
      const auto raw = sentence.is_object() ? sentence.find("raw") : sentence.end();
      auto problem = raw != sentence.end() && raw->is_string() ? caption_problem(raw->get_ref<const std::string&>())
                                                               : "the sentence has no text 'raw'";
      if (problem)
        ledger.push_back({fmt::format("{}.sentences[{}]", place, i), std::move(*problem)});
      else
        image.captions.push_back(raw->get<std::string>());
    }
  }

  KarpathyConfig config_;
};

}  // namespace

SourceEntry karpathy_source() {
  return make_source_entry<Karpathy, KarpathyConfig>(
      "karpathy", "Karpathy's dataset_coco.json, dataset_flickr8k.json and dataset_flickr30k.json with their splits.");
}

}  // namespace capstan
