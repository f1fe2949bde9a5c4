#include "data/split_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/random.h"
#include "capstan/core/strings.h"
#include "data/text_file.h"

namespace capstan {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// "val2014/a.jpg 11169" is a.jpg's line in Karpathy's lists; any other line is a name, spaces included.
std::string_view name_in_line(std::string_view line) {
  line = trim(line);
  const std::size_t space = line.find_last_of(" \t");
  if (space == std::string_view::npos || !all_digits(line.substr(space + 1))) return line;
  return trim(line.substr(0, space));
}

std::string_view without_extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return name;
  const std::string extension = to_lower_ascii(name.substr(dot));
  constexpr std::array<std::string_view, 4> kPictures{".jpg", ".jpeg", ".png", ".webp"};
  return std::find(kPictures.begin(), kPictures.end(), extension) == kPictures.end() ? name : name.substr(0, dot);
}

}  // namespace

std::string hash_split(std::string_view name, std::uint64_t seed, double validation_share, double test_share) {
  const double at = static_cast<double>(stream_seed(seed, name) >> 11) * 0x1p-53;
  if (at < validation_share) return "validation";
  return at < validation_share + test_share ? "test" : "train";
}

std::string canonical_split(std::string_view word) {
  const std::string text = to_lower_ascii(trim(word));
  if (text == "train" || text == "training") return "train";
  if (text == "val" || text == "valid" || text == "validation" || text == "dev") return "validation";
  if (text == "test" || text == "testing") return "test";
  return std::string(trim(word));
}

bool is_plain_split(std::string_view split) {
  return !split.empty() && std::all_of(split.begin(), split.end(),
                                       [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

void check_unlisted(const std::string& unlisted, std::vector<std::string>& problems) {
  if (!is_plain_split(unlisted))
    problems.push_back(fmt::format(
        "unlisted: found '{}', expected drop, files or the split that pictures in no list go to", unlisted));
}

SplitLists::SplitLists(const SplitListFiles& files, Match match, std::string unlisted)
    : match_(match), unlisted_(std::move(unlisted)) {
  if (files.train) add_list(*files.train, "train");
  if (files.validation) add_list(*files.validation, "validation");
  if (files.test) add_list(*files.test, "test");
}

void SplitLists::add_list(const std::string& file, const char* split) {
  TextFile text(file);
  std::string line;
  bool any = false;
  for (auto next = text.next_line(line); next != TextFile::Line::kEnd; next = text.next_line(line)) {
    if (next == TextFile::Line::kTooLong) throw DataError(text.place() + ": the line is no name of a picture");
    const std::string_view name = name_in_line(line);
    if (name.empty()) continue;
    any = true;
    const auto [entry, fresh] = listed_.emplace(key_of(name), Listed{.split = split});
    if (!fresh && entry->second.split != std::string_view(split))
      throw DataError(fmt::format("{}: the picture {} is also in the list of {}; a picture belongs to one split",
                                  text.place(), name, entry->second.split));
  }
  if (!any) throw DataError(fmt::format("{}: is empty, expected the name of a picture on every line", file));
}

std::string SplitLists::key_of(std::string_view name) const {
  const std::size_t folder = name.rfind('/');
  if (folder != std::string_view::npos) name.remove_prefix(folder + 1);
  name = without_extension(name);
  if (match_ == Match::kNames) return std::string(name);
  const std::size_t mark = name.rfind('_');
  std::string_view number = mark == std::string_view::npos ? name : name.substr(mark + 1);
  if (!all_digits(number)) return std::string(name);
  while (number.size() > 1 && number.front() == '0') number.remove_prefix(1);
  return std::string(number);
}

bool SplitLists::assign(CaptionedImage& image) {
  if (listed_.empty()) return true;
  const auto entry = listed_.find(key_of(image.name));
  if (entry != listed_.end()) {
    entry->second.found = true;
    image.split = entry->second.split;
    return true;
  }
  if (unlisted_ == "drop") {
    ++num_dropped_;
    return false;
  }
  if (unlisted_ != "files") image.split = unlisted_;
  return true;
}

void SplitLists::report() const {
  const auto missing =
      std::count_if(listed_.begin(), listed_.end(), [](const auto& entry) { return !entry.second.found; });
  if (missing > 0)
    log_warning(
        fmt::format("{} of {} pictures in the split lists are not in the annotations", missing, listed_.size()));
  if (num_dropped_ > 0)
    log_info(fmt::format("{} pictures are in no split list and were left out; unlisted: train would train on them",
                         num_dropped_));
}

}  // namespace capstan
