// Any CSV with a heading: a picture's name and one caption or more in each row.
#include "data/csv_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "data/rows.h"
#include "data/split_rule.h"

namespace capstan {
namespace {

struct CsvConfig : TableConfig {
  std::string separator = ",";

  template <class Visitor>
  void fields(Visitor& v) {
    TableConfig::fields(v);
    v("separator", separator, "One character between fields, or tab.");
  }
  void check(std::vector<std::string>& problems) const {
    TableConfig::check(problems);
    if (separator != "tab" && (separator.size() != 1 || separator == "\"" || separator == "\n" || separator == "\r"))
      problems.push_back(fmt::format("separator: found '{}', expected one character, or tab", separator));
  }
};

// Where the fields lie in a row.
struct Columns {
  std::size_t num_fields = 0;
  std::size_t image = 0;
  std::vector<std::size_t> captions;
  std::optional<std::size_t> split, id;
};

class Csv final : public TableFormat {
 public:
  explicit Csv(CsvConfig config) : config_(std::move(config)) {}

 private:
  const TableConfig& table() const override { return config_; }

  void read_rows(const TakeRow& take, const SkipRecord& skip) const override {
    CsvReader csv(config_.file, config_.separator == "tab" ? '\t' : config_.separator.front());
    std::vector<std::string> fields;
    if (!csv.next(fields, skip))
      throw DataError(fmt::format("{}: is empty, expected a heading with the names of the fields", config_.file));
    const Columns columns = find_columns(fields);
    while (csv.next(fields, skip)) {
      while (fields.size() > columns.num_fields && fields.back().empty()) fields.pop_back();
      if (fields.size() != columns.num_fields) {
        skip(csv.place(), fmt::format("the row has {} fields, expected {}; text with separators needs quotes around it",
                                      fields.size(), columns.num_fields));
        continue;
      }
      CaptionRow row = row_of(fields, columns, csv.place(), skip);
      if (!row.captions.empty() && !take(std::move(row))) return;
    }
  }

  // In one row, empty captions beside others are cells that nobody filled.
  static CaptionRow row_of(std::vector<std::string>& fields, const Columns& columns, std::string place,
                           const SkipRecord& skip) {
    CaptionRow row{
        .place = std::move(place), .image = std::move(fields[columns.image]), .captions = {}, .split = {}, .id = {}};
    if (columns.split) row.split = canonical_split(fields[*columns.split]);
    if (columns.id) row.id = fields[*columns.id];
    const bool all_empty = std::all_of(columns.captions.begin(), columns.captions.end(),
                                       [&](std::size_t column) { return trim(fields[column]).empty(); });
    if (all_empty) skip(row.place, "the caption is empty");
    for (const std::size_t column : columns.captions) {
      if (trim(fields[column]).empty()) continue;
      if (auto problem = caption_problem(fields[column]))
        skip(row.place, std::move(*problem));
      else
        row.captions.push_back(fields[column]);
    }
    return row;
  }

  Columns find_columns(std::vector<std::string> heading) const {
    for (std::string& name : heading) name = std::string(trim(name));
    const auto find = [&](const std::string& name, const char* option) {
      const auto found = std::find(heading.begin(), heading.end(), name);
      if (found == heading.end())
        throw DataError(fmt::format("{}:1: has no field '{}', found {}; set '{}' or 'separator'", config_.file, name,
                                    join(heading, ", "), option));
      return static_cast<std::size_t>(found - heading.begin());
    };
    Columns columns{.num_fields = heading.size(), .image = find(config_.image_field, "image_field")};
    for (const std::string& name : config_.caption_fields) columns.captions.push_back(find(name, "caption_fields"));
    const bool has_split = std::find(heading.begin(), heading.end(), config_.split_field) != heading.end();
    if (has_split || config_.split_field != TableConfig().split_field)
      columns.split = find(config_.split_field, "split_field");
    if (config_.id_field) columns.id = find(*config_.id_field, "id_field");
    return columns;
  }

  CsvConfig config_;
};

}  // namespace

SourceEntry csv_source() {
  return make_source_entry<Csv, CsvConfig>("csv", "A CSV with a heading: a picture and one caption or more in a row.");
}

}  // namespace capstan
