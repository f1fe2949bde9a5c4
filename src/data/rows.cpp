#include "data/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "capstan/core/random.h"
#include "capstan/core/signals.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

// The hashes of pictures whose rows are not together, sorted.
std::vector<std::uint64_t> find_scattered(const ReadRows& read) {
  std::vector<std::uint64_t> runs;
  read(
      [&](const CaptionRow& row) {
        const std::uint64_t hash = stable_hash(row.image);
        if (runs.empty() || runs.back() != hash) runs.push_back(hash);
        return !stop_requested();
      },
      [](const std::string&, const std::string&) {});
  std::sort(runs.begin(), runs.end());
  std::vector<std::uint64_t> scattered;
  for (std::size_t i = 1; i < runs.size(); ++i)
    if (runs[i] == runs[i - 1] && (scattered.empty() || scattered.back() != runs[i])) scattered.push_back(runs[i]);
  return scattered;
}

class RowMerger {
 public:
  RowMerger(std::vector<std::uint64_t> scattered, const ImageRoot& root, const OfferImage& offer,
            std::vector<LedgerEntry>& ledger)
      : scattered_(std::move(scattered)), root_(root), offer_(offer), ledger_(ledger) {}

  bool add(CaptionRow row) {
    if (std::binary_search(scattered_.begin(), scattered_.end(), stable_hash(row.image))) {
      const auto held = held_index_.find(row.image);
      if (held != held_index_.end()) return append(held_[held->second], std::move(row));
      held_index_.emplace(row.image, held_.size());
      held_.emplace_back();
      if (!begin(held_.back(), row)) {
        held_.pop_back();
        held_index_.erase(row.image);
        return true;
      }
      return append(held_.back(), std::move(row));
    }
    if (open_ && current_.name == row.image) return append(current_, std::move(row));
    if (!flush()) return false;
    open_ = begin(current_, row);
    return !open_ || append(current_, std::move(row));
  }

  void finish() {
    if (!flush()) return;
    for (CaptionedImage& image : held_)
      if (!offer_(std::move(image))) return;
  }

 private:
  bool begin(CaptionedImage& image, const CaptionRow& row) {
    ImageRoot::Found found = root_.find(row.image);
    if (found.problem != nullptr) {
      ledger_.push_back({row.place, std::string(found.problem) + ": " + row.image});
      return false;
    }
    image = {.image_id = row.id.empty() ? row.image : row.id,
             .file = std::move(found.file),
             .split = row.split,
             .captions = {},
             .name = row.image};
    return true;
  }

  bool append(CaptionedImage& image, CaptionRow row) {
    if (image.split.empty()) image.split = row.split;
    if (!row.split.empty() && image.split != row.split) {
      ledger_.push_back({std::move(row.place), "the row puts " + row.image + " into the split '" + row.split +
                                                   "', an earlier one into '" + image.split + "'"});
      return true;
    }
    std::move(row.captions.begin(), row.captions.end(), std::back_inserter(image.captions));
    return true;
  }

  bool flush() {
    if (!open_) return true;
    open_ = false;
    return offer_(std::move(current_));
  }

  const std::vector<std::uint64_t> scattered_;
  const ImageRoot& root_;
  const OfferImage& offer_;
  std::vector<LedgerEntry>& ledger_;
  bool open_ = false;
  CaptionedImage current_;
  std::vector<CaptionedImage> held_;
  std::unordered_map<std::string, std::size_t> held_index_;
};

}  // namespace

std::optional<std::string> caption_problem(std::string_view caption) {
  if (trim(caption).empty()) return "the caption is empty";
  if (!is_valid_utf8(caption)) return "the caption is not valid UTF-8; save the file as UTF-8";
  if (caption.find('\0') != std::string_view::npos) return "the caption holds a zero byte";
  return std::nullopt;
}

void append_captions(const nlohmann::json& value, const std::string& key, std::vector<std::string>& captions,
                     const std::function<void(std::string reason)>& skip) {
  const auto take = [&](const nlohmann::json& caption) {
    if (!caption.is_string()) return skip(fmt::format("'{}' is neither text nor a list of texts", key));
    const auto& text = caption.get_ref<const std::string&>();
    if (auto problem = caption_problem(text)) return skip(std::move(*problem));
    captions.push_back(text);
  };
  if (!value.is_array()) return take(value);
  if (value.empty()) skip(fmt::format("the list '{}' is empty", key));
  for (const nlohmann::json& caption : value) take(caption);
}

void merge_rows(const ReadRows& read, const ImageRoot& root, const OfferImage& offer,
                std::vector<LedgerEntry>& ledger) {
  RowMerger merger(find_scattered(read), root, offer, ledger);
  bool more = true;
  read([&](CaptionRow row) { return more = merger.add(std::move(row)); },
       [&](std::string place, std::string reason) { ledger.push_back({std::move(place), std::move(reason)}); });
  if (more) merger.finish();
}

void TableConfig::check(std::vector<std::string>& problems) const {
  if (file.empty()) problems.emplace_back("'file' is not set; expected the file with the captions");
  if (image_field.empty()) problems.emplace_back("'image_field' is empty; expected the field with the picture's name");
  if (caption_fields.empty()) problems.emplace_back("'caption_fields' is empty; expected at least one field");
}

void TableFormat::read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const {
  merge_rows([this](const TakeRow& take, const SkipRecord& skip) { read_rows(take, skip); }, table().root(), offer,
             ledger);
}

ImageRoot TableConfig::root() const {
  return ImageRoot(images ? std::filesystem::path(*images) : std::filesystem::path(file).parent_path(), file, "images");
}

}  // namespace capstan
