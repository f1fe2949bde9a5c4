// JSON Lines: one object a line with a picture's name and one caption or a list of them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/strings.h"
#include "data/json_records.h"
#include "data/rows.h"
#include "data/split_rule.h"
#include "data/text_file.h"

namespace capstan {
namespace {

using nlohmann::json;

class Jsonl final : public TableFormat {
 public:
  explicit Jsonl(TableConfig config) : config_(std::move(config)) {}

 private:
  const TableConfig& table() const override { return config_; }

  void read_rows(const TakeRow& take, const SkipRecord& skip) const override {
    TextFile file(config_.file);
    std::string line, problem;
    for (auto next = file.next_line(line); next != TextFile::Line::kEnd; next = file.next_line(line)) {
      json record;
      if (next == TextFile::Line::kTooLong) {
        skip(file.place(), fmt::format("the line has more than {} bytes", TextFile::kMaxLine));
      } else if (!trim(line).empty()) {
        if (!parse_json_record(line, record, problem)) {
          skip(file.place(), problem);
          continue;
        }
        CaptionRow row = row_of(record, file.place(), skip);
        if (!row.captions.empty() && !take(std::move(row))) return;
      }
    }
  }

  CaptionRow row_of(const json& record, std::string place, const SkipRecord& skip) const {
    CaptionRow row{.place = std::move(place), .image = {}, .captions = {}, .split = {}, .id = {}};
    if (!record.is_object()) {
      skip(row.place, "expected an object as {\"image\": \"a.jpg\", \"caption\": \"...\"}");
      return row;
    }
    const auto image = record.find(config_.image_field);
    if (image == record.end() || !image->is_string()) {
      skip(row.place, fmt::format("the record has no text '{}'; set 'image_field'", config_.image_field));
      return row;
    }
    row.image = image->get<std::string>();
    const auto split = record.find(config_.split_field);
    if (split != record.end() && split->is_string()) row.split = canonical_split(split->get_ref<const std::string&>());
    const auto id = config_.id_field ? record.find(*config_.id_field) : record.end();
    if (id != record.end()) row.id = id->is_string() ? id->get<std::string>() : id->is_number() ? id->dump() : "";
    for (const std::string& field : config_.caption_fields) add_captions(record, field, row, skip);
    return row;
  }

  static void add_captions(const json& record, const std::string& field, CaptionRow& row, const SkipRecord& skip) {
    const auto found = record.find(field);
    if (found == record.end())
      return skip(row.place, fmt::format("the record has no '{}'; set 'caption_fields'", field));
    append_captions(*found, field, row.captions, [&](std::string reason) { skip(row.place, std::move(reason)); });
  }

  TableConfig config_;
};

}  // namespace

SourceEntry jsonl_source() {
  return make_source_entry<Jsonl, TableConfig>(
      "jsonl", "JSON Lines: an object a line with a picture and a caption or a list of captions.");
}

}  // namespace capstan
