// WebDataset: tar shards in which the members of one sample stand together and share their name up to the first dot.
// Pictures are not unpacked: each is a place in its shard. Convention: https://github.com/webdataset/webdataset.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "capstan/core/strings.h"
#include "data/json_records.h"
#include "data/rows.h"
#include "data/shard_pattern.h"
#include "data/source_entry.h"
#include "data/tar.h"

namespace capstan {
namespace {

constexpr std::uint64_t kMaxText = std::uint64_t{1} << 20;

struct WebdatasetConfig {
  std::string shards;
  std::string captions_from = "auto";
  std::string json_key = "caption";

  template <class Visitor>
  void fields(Visitor& v) {
    v("shards", shards, "The archives: a path with {00000..00012}, {a,b}, *, ? or [...] in it.");
    v("captions_from", captions_from,
      "txt: member .txt; json: member .json; auto: .txt where there is one, else .json.",
      one_of({"auto", "txt", "json"}));
    v("json_key", json_key, "Key of the caption, or list of captions, in the .json.");
  }
  void check(std::vector<std::string>& problems) const {
    if (shards.empty()) problems.emplace_back("the webdataset source needs 'shards', as data/{00000..00012}.tar");
  }
};

struct Sample {
  std::string key;
  std::optional<TarMember> picture, txt, json;
};

// "a/b.seg.png" is the member "seg.png" of the sample "a/b"; names that begin with a dot belong to no sample.
std::pair<std::string, std::string> key_and_extension(const std::string& name) {
  const std::size_t folder = name.rfind('/');
  const std::size_t base = folder == std::string::npos ? 0 : folder + 1;
  const std::size_t dot = name.find('.', base);
  if (dot == std::string::npos || dot == base) return {};
  return {name.substr(0, dot), to_lower_ascii(name.substr(dot + 1))};
}

bool is_picture(const std::string& extension) {
  return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp";
}

class ShardReader {
 public:
  ShardReader(const WebdatasetConfig& config, const std::string& shard, const OfferImage& offer,
              std::vector<LedgerEntry>& ledger)
      : config_(config), shard_(shard), tar_(shard), offer_(offer), ledger_(ledger) {}

  // False: enough.
  bool read() {
    while (const auto member = tar_.next())
      if (!add(*member)) return false;
    if (tar_.problem().empty()) return finish_sample();
    ledger_.push_back({shard_, tar_.problem()});
    const bool complete = sample_.picture && (sample_.txt || sample_.json);
    return !complete || finish_sample();  // of a sample that was cut, the line above speaks
  }

 private:
  bool add(const TarMember& member) {
    const auto [key, extension] = key_and_extension(member.name);
    const bool picture = is_picture(extension);
    if (key.empty() || (!picture && extension != "txt" && extension != "json")) return true;
    if (key != sample_.key) {
      if (!finish_sample()) return false;
      sample_.key = key;
    }
    std::optional<TarMember>& place = picture ? sample_.picture : extension == "txt" ? sample_.txt : sample_.json;
    if (member.type != '0')
      skip(member.name, "is a link or a folder, expected a file");
    else if (place)
      skip(member.name, "the sample already has " + place->name);
    else if (picture && member.size == 0)
      skip(member.name, "the picture is empty");
    else
      place = member;
    return true;
  }

  bool finish_sample() {
    Sample sample = std::exchange(sample_, {});
    if (!sample.picture && !sample.txt && !sample.json) return true;
    if (!sample.picture) {
      skip(sample.key, "the sample has no picture (.jpg, .jpeg, .png or .webp)");
      return true;
    }
    CaptionedImage image{.image_id = sample.key,
                         .file = shard_,
                         .split = {},
                         .captions = captions_of(sample),
                         .name = sample.picture->name,
                         .offset = sample.picture->offset,
                         .size = sample.picture->size};
    return image.captions.empty() || offer_(std::move(image));
  }

  // When there is none, the ledger has the reason.
  std::vector<std::string> captions_of(const Sample& sample) {
    std::vector<std::string> captions;
    const bool from_txt = config_.captions_from != "json" && sample.txt;
    const bool from_json = !from_txt && config_.captions_from != "txt" && sample.json;
    if (!from_txt && !from_json) {
      const char* const expected = config_.captions_from == "auto" ? ".txt or .json" : config_.captions_from.c_str();
      skip(sample.picture->name, fmt::format("the sample has no caption ({})", expected));
      return captions;
    }
    const TarMember& member = from_txt ? *sample.txt : *sample.json;
    if (member.size > kMaxText) {
      skip(member.name, fmt::format("has {} bytes, expected a caption of at most {}", member.size, kMaxText));
      return captions;
    }
    const std::string text = tar_.read(member);
    if (from_txt)
      add_text(member.name, trim(text), captions);
    else
      add_json(member.name, text, captions);
    return captions;
  }

  void add_text(const std::string& name, std::string_view text, std::vector<std::string>& captions) {
    if (auto problem = caption_problem(text)) return skip(name, std::move(*problem));
    captions.emplace_back(text);
  }

  void add_json(const std::string& name, const std::string& text, std::vector<std::string>& captions) {
    nlohmann::json record;
    std::string problem;
    if (!parse_json_record(text, record, problem)) return skip(name, problem);
    const auto found = record.is_object() ? record.find(config_.json_key) : record.end();
    if (found == record.end()) return skip(name, fmt::format("has no key '{}'; set 'json_key'", config_.json_key));
    append_captions(*found, config_.json_key, captions, [&](std::string reason) { skip(name, std::move(reason)); });
  }

  void skip(const std::string& name, std::string reason) {
    ledger_.push_back({shard_ + ": " + name, std::move(reason)});
  }

  const WebdatasetConfig& config_;
  const std::string& shard_;
  TarReader tar_;
  const OfferImage& offer_;
  std::vector<LedgerEntry>& ledger_;
  Sample sample_;
};

class Webdataset final : public SourceFormat {
 public:
  explicit Webdataset(WebdatasetConfig config) : config_(std::move(config)) {}

  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const override {
    for (const std::string& shard : find_shards(config_.shards))
      if (!ShardReader(config_, shard, offer, ledger).read()) return;
  }
  std::string describe() const override { return config_.shards; }

 private:
  WebdatasetConfig config_;
};

}  // namespace

SourceEntry webdataset_source() {
  return make_source_entry<Webdataset, WebdatasetConfig>(
      "webdataset", "WebDataset tar shards of pictures with .txt or .json; nothing is unpacked.");
}

}  // namespace capstan
