// COCO captions: annotations JSON to captioned images. Every record that cannot be used gets a line in the ledger.
#include "capstan/data/coco.h"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "data/image_root.h"
#include "data/json_records.h"
#include "data/rows.h"
#include "data/source_entry.h"
#include "data/split_rule.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct CocoConfig {
  std::optional<std::string> train_annotations, train_images;
  std::optional<std::string> validation_annotations, validation_images;
  std::optional<std::string> test_annotations, test_images;
  std::optional<std::string> karpathy_train, karpathy_validation, karpathy_test;
  std::string unlisted = "drop";

  template <class Visitor>
  void fields(Visitor& v) {
    v("train_annotations", train_annotations, "Captions JSON of the training split, as captions_train2017.json.");
    v("train_images", train_images, "Folder of its pictures.");
    v("validation_annotations", validation_annotations, "Captions JSON of the validation split.");
    v("validation_images", validation_images, "Folder of its pictures.");
    v("test_annotations", test_annotations, "Captions JSON of the test split.");
    v("test_images", test_images, "Folder of its pictures.");
    v("karpathy_train", karpathy_train, "List of the pictures to train on, as karpathy_train_images.txt.");
    v("karpathy_validation", karpathy_validation, "List of the pictures for validation.");
    v("karpathy_test", karpathy_test, "List of the pictures for test.");
    v("unlisted", unlisted,
      "With such lists, what becomes of pictures in none of them: drop, files (the split of their JSON) or the split "
      "they go to.");
  }

  SplitListFiles lists() const { return {karpathy_train, karpathy_validation, karpathy_test}; }

  void check(std::vector<std::string>& problems) const {
    bool any = false;
    const auto pair = [&](const char* split, const auto& annotations, const auto& images) {
      any = any || annotations || images;
      if (annotations.has_value() != images.has_value())
        problems.push_back(fmt::format("'{0}_annotations' and '{0}_images' are needed together, found only '{0}_{1}'",
                                       split, annotations ? "annotations" : "images"));
    };
    pair("train", train_annotations, train_images);
    pair("validation", validation_annotations, validation_images);
    pair("test", test_annotations, test_images);
    if (!any) problems.emplace_back("the coco source needs at least 'train_annotations' and 'train_images'");
    check_unlisted(unlisted, problems);
  }
};

// COCO numbers its images; other corpora in this format name them.
std::optional<std::string> id_text(const json& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end()) return std::nullopt;
  if (found->is_string() && !found->get_ref<const std::string&>().empty()) return found->get<std::string>();
  if (found->is_number_integer()) return found->dump();
  return std::nullopt;
}

class CocoReader {
 public:
  CocoReader(const fs::path& annotations, const fs::path& folder, const std::string& split,
             std::vector<LedgerEntry>& ledger)
      : annotations_(annotations),
        root_(folder, annotations.string(), split + "_images"),
        split_(split),
        ledger_(ledger) {}

  // Images first and captions in a second pass over the file: the format does not promise their order.
  std::vector<CaptionedImage> read() {
    read_list("images", [this](const json& record) { add_image(record); });
    read_list("annotations", [this](const json& record) { add_caption(record); });
    std::vector<CaptionedImage> taken;
    for (CaptionedImage& image : images_) {
      if (image.captions.empty()) {
        skip(image.file.string(), "the image has no caption");
      } else {
        taken.push_back(std::move(image));
      }
    }
    return taken;
  }

 private:
  void read_list(const char* key, const std::function<void(const json&)>& add) const {
    const auto take = [&](json& record) {
      add(record);
      return true;
    };
    if (!read_json_list(annotations_, key, take))
      throw DataError(
          fmt::format("{}: found no list '{}', expected a COCO captions file with 'images' and "
                      "'annotations'",
                      annotations_.string(), key));
  }

  void skip(std::string file, std::string reason) { ledger_.push_back({std::move(file), std::move(reason)}); }

  void add_image(const json& record) {
    const std::string place = fmt::format("{}: images[{}]", annotations_.string(), next_image_++);
    const auto id = record.is_object() ? id_text(record, "id") : std::nullopt;
    const auto name = record.is_object() ? id_text(record, "file_name") : std::nullopt;
    if (!id || !name) return skip(place, "the record needs an 'id' and a 'file_name'");
    ImageRoot::Found found = root_.find(*name);
    if (found.problem != nullptr) {
      known_.emplace(*id, kRefused);
      return skip(*name, found.problem);
    }
    if (!known_.emplace(*id, images_.size()).second) return skip(place, "the image id " + *id + " is used twice");
    images_.push_back({.image_id = *id, .file = std::move(found.file), .split = split_, .captions = {}, .name = *name});
  }

  void add_caption(const json& record) {
    const std::string place = fmt::format("{}: annotations[{}]", annotations_.string(), next_caption_++);
    const auto id = record.is_object() ? id_text(record, "image_id") : std::nullopt;
    if (!id) return skip(place, "the record needs an 'image_id'");
    const auto image = known_.find(*id);
    if (image == known_.end()) return skip(place, "the image id " + *id + " is not in 'images'");
    const auto caption = record.find("caption");
    if (caption == record.end() || !caption->is_string()) return skip(place, "the caption is missing or not text");
    const auto& text = caption->get_ref<const std::string&>();
    if (auto problem = caption_problem(text)) return skip(place, std::move(*problem));
    if (image->second == kRefused) return skip(place, "its image " + *id + " was not taken");
    images_[image->second].captions.push_back(text);
  }

  static constexpr std::size_t kRefused = static_cast<std::size_t>(-1);
  const fs::path& annotations_;
  const ImageRoot root_;
  const std::string& split_;
  std::vector<LedgerEntry>& ledger_;
  std::vector<CaptionedImage> images_;
  std::unordered_map<std::string, std::size_t> known_;  // image id -> index in images_
  std::size_t next_image_ = 0, next_caption_ = 0;
};

class Coco final : public SourceFormat {
 public:
  explicit Coco(CocoConfig config) : config_(std::move(config)) {}

  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const override {
    SplitLists lists(config_.lists(), SplitLists::Match::kCocoNumbers, config_.unlisted);
    bool more = true;
    const auto add = [&](const char* split, const auto& annotations, const auto& folder) {
      if (!more || !annotations || !folder) return;
      for (CaptionedImage& image : read_coco(*annotations, *folder, split, ledger))
        if (more && lists.assign(image)) more = offer(std::move(image));
    };
    add("train", config_.train_annotations, config_.train_images);
    add("validation", config_.validation_annotations, config_.validation_images);
    add("test", config_.test_annotations, config_.test_images);
    if (more) lists.report();
  }

  std::string describe() const override {
    std::vector<std::string> files;
    for (const auto& file : {config_.train_annotations, config_.validation_annotations, config_.test_annotations,
                             config_.karpathy_train, config_.karpathy_validation, config_.karpathy_test})
      if (file) files.push_back(*file);
    return join(files, ", ");
  }

 private:
  CocoConfig config_;
};

}  // namespace

std::vector<CaptionedImage> read_coco(const fs::path& annotations_json, const fs::path& image_folder,
                                      const std::string& split, std::vector<LedgerEntry>& ledger) {
  return CocoReader(annotations_json, image_folder, split, ledger).read();
}

SourceEntry coco_source() {
  return make_source_entry<Coco, CocoConfig>(
      "coco",
      "COCO captions: annotation JSON (2014 and 2017 format) and a folder of pictures; Karpathy's split lists.");
}

}  // namespace capstan
