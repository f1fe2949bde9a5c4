#include "data/flickr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "data/csv_reader.h"
#include "data/image_root.h"
#include "data/rows.h"
#include "data/text_file.h"

namespace capstan {
namespace {

enum class Layout { kToken, kCommas, kBars };

// Which of the fields in a heading are the picture's name and the caption.
struct Heading {
  std::size_t num_fields = 0;
  std::optional<std::size_t> image, caption;
};

Heading read_heading(const std::vector<std::string>& fields) {
  Heading heading{.num_fields = fields.size()};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string field = to_lower_ascii(trim(fields[i]));
    if (field == "image" || field == "image_name") heading.image = i;
    if (field == "caption" || field == "comment") heading.caption = i;
  }
  return heading;
}

class FlickrReader {
 public:
  explicit FlickrReader(const std::string& path) : path_(path) { find_layout(); }

  void read(const TakeRow& take, const SkipRecord& skip) {
    if (layout_ == Layout::kCommas) return read_commas(take, skip);
    TextFile file(path_);
    std::string line;
    bool heading_passed = layout_ == Layout::kToken;
    for (auto next = file.next_line(line); next != TextFile::Line::kEnd; next = file.next_line(line)) {
      if (next == TextFile::Line::kTooLong) {
        skip(file.place(), fmt::format("the line has more than {} bytes", TextFile::kMaxLine));
        continue;
      }
      if (trim(line).empty()) continue;
      if (!std::exchange(heading_passed, true)) continue;
      CaptionRow row{.place = file.place(), .image = {}, .captions = {}, .split = {}, .id = {}};
      const auto problem = layout_ == Layout::kToken ? parse_token(line, row) : parse_bars(line, row);
      if (problem) {
        skip(row.place, *problem);
      } else if (!give(std::move(row), take, skip)) {
        return;
      }
    }
  }

 private:
  void find_layout() {
    TextFile file(path_);
    std::string line;
    while (trim(line).empty() && file.next_line(line) != TextFile::Line::kEnd) {
    }
    const std::size_t tab = line.find('\t');
    if (tab != std::string::npos && line.find('#') < tab) return;
    layout_ = line.find('|') != std::string::npos ? Layout::kBars : Layout::kCommas;
    heading_ = read_heading(split(line, layout_ == Layout::kBars ? '|' : ','));
    const bool last = layout_ == Layout::kCommas || heading_.caption == heading_.num_fields - 1;
    if (heading_.image && heading_.caption && last) return;
    throw DataError(
        fmt::format("{}:{}: expected a line as 'NAME.jpg#0', tab and a caption, or a heading as 'image,caption' or "
                    "'image_name| comment_number| comment'; found '{}'",
                    path_, std::max<std::int64_t>(file.line_number(), 1), line.substr(0, 80)));
  }

  static bool give(CaptionRow row, const TakeRow& take, const SkipRecord& skip) {
    const auto problem = caption_problem(row.captions.front());
    if (!problem) return take(std::move(row));
    skip(row.place, *problem);
    return true;
  }

  static std::optional<std::string> parse_token(const std::string& line, CaptionRow& row) {
    const std::size_t tab = line.find('\t');
    const std::size_t mark = tab == std::string::npos ? tab : line.rfind('#', tab);
    if (mark == std::string::npos || mark == 0) return "expected NAME#NUMBER, a tab and the caption";
    row.image = line.substr(0, mark);
    row.captions = {line.substr(tab + 1)};
    return std::nullopt;
  }

  // The caption is the last field and may hold bars itself. One line of the published results.csv lacks the bar before
  // its caption: "2199200615.jpg| 4   A dog runs across the grass ."; the number shows where it belongs.
  std::optional<std::string> parse_bars(const std::string& line, CaptionRow& row) {
    std::vector<std::string> fields = split(line, '|');
    for (std::size_t i = heading_.num_fields; i < fields.size(); ++i)
      fields[heading_.num_fields - 1] += '|' + fields[i];
    static const std::regex kNumberAndText("\\s*[0-9]+\\s+(\\S[^]*)");
    std::smatch match;
    if (fields.size() == 2 && heading_.num_fields == 3 && std::regex_match(fields[1], match, kNumberAndText)) {
      fields.push_back(match[1]);
      repaired_.push_back(row.place);
    }
    if (fields.size() < heading_.num_fields)
      return fmt::format("the line has {} of the {} fields between bars", fields.size(), heading_.num_fields);
    row.image = trim(fields[*heading_.image]);
    row.captions = {std::string(trim(fields[*heading_.caption]))};
    return std::nullopt;
  }

  void read_commas(const TakeRow& take, const SkipRecord& skip) const {
    CsvReader csv(path_, ',');
    std::vector<std::string> fields;
    csv.next(fields, skip);  // the heading
    while (csv.next(fields, skip)) {
      if (fields.size() != heading_.num_fields) {
        skip(csv.place(), fmt::format("the row has {} fields, expected {}; text with commas needs quotes around it",
                                      fields.size(), heading_.num_fields));
        continue;
      }
      CaptionRow row{.place = csv.place(),
                     .image = std::move(fields[*heading_.image]),
                     .captions = {std::move(fields[*heading_.caption])},
                     .split = {},
                     .id = {}};
      if (!give(std::move(row), take, skip)) return;
    }
  }

 public:
  // Lines whose missing bar was put in.
  const std::vector<std::string>& repaired() const { return repaired_; }

 private:
  const std::string& path_;
  Layout layout_ = Layout::kToken;
  Heading heading_;
  std::vector<std::string> repaired_;
};

}  // namespace

void FlickrConfig::check(std::vector<std::string>& problems) const {
  if (captions.empty()) problems.emplace_back("'captions' is not set; expected the file with the captions");
  if (images.empty()) problems.emplace_back("'images' is not set; expected the folder of the pictures");
  check_unlisted(unlisted, problems);
}

void Flickr::read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const {
  const ImageRoot root(config_.images, config_.captions, "images");
  SplitLists lists({config_.train_list, config_.validation_list, config_.test_list}, SplitLists::Match::kNames,
                   config_.unlisted);
  FlickrReader reader(config_.captions);
  bool more = true;
  const auto listed = [&](CaptionedImage image) { return more = !lists.assign(image) || offer(std::move(image)); };
  merge_rows([&](const TakeRow& take, const SkipRecord& skip) { reader.read(take, skip); }, root, listed, ledger);
  if (more) lists.report();
  if (!reader.repaired().empty())
    log_info(fmt::format("{}: the bar before the caption is missing; the caption was taken all the same",
                         reader.repaired().front()));
}

std::string Flickr::describe() const {
  std::vector<std::string> files{config_.captions};
  for (const auto& file : {config_.train_list, config_.validation_list, config_.test_list})
    if (file) files.push_back(*file);
  return join(files, ", ");
}

}  // namespace capstan
