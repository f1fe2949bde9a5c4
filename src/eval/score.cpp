// Caption files into pairs, pairs into scores.
#include "capstan/eval/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

struct Pair {
  std::string id;
  std::string prediction;
  std::vector<std::string> references;
};

struct Entry {
  std::string image_id;
  std::string caption;
};

// A file's bytes and which of the two formats they are.
struct CaptionFile {
  std::string name;
  std::string bytes;
  bool is_json = false;
};

// Only a file of another extension is looked into: a caption of a .txt file may begin with a bracket.
bool looks_like_json(const fs::path& path, std::string_view bytes) {
  if (path.extension() == ".json") return true;
  if (path.extension() == ".txt") return false;
  std::string start;
  for (const char byte : bytes) {
    if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') continue;
    start += byte;
    if (start.size() == 2) break;
  }
  return start == "[{" || start == "{\"" || start == "[]" || start == "{}";
}

CaptionFile open_captions(const fs::path& path) {
  CaptionFile file{.name = path.string(), .bytes = read_file(path)};
  if (file.bytes.empty())
    throw DataError(
        fmt::format("{}: the file is empty, expected captions; a file of one empty caption holds one "
                    "newline.",
                    file.name));
  file.is_json = looks_like_json(path, file.bytes);
  return file;
}

std::vector<std::string> lines_of(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::vector<std::string> lines;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    start = end + 1;
  }
  return lines;
}

std::vector<Pair> pair_lines(const CaptionFile& predictions, const CaptionFile& references) {
  std::vector<std::string> predicted = lines_of(predictions.bytes);
  std::vector<std::string> expected = lines_of(references.bytes);
  if (predicted.size() != expected.size()) {
    throw DataError(fmt::format("{} has {} lines but {} has {}; line N of one must belong to line N of the other.",
                                predictions.name, predicted.size(), references.name, expected.size()));
  }
  std::vector<Pair> pairs(predicted.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].id = std::to_string(i + 1);
    pairs[i].prediction = std::move(predicted[i]);
    pairs[i].references.push_back(std::move(expected[i]));
  }
  return pairs;
}

Entry read_entry(const nlohmann::json& value, std::size_t index, const std::string& name) {
  const auto bad = [&](std::string_view problem) {
    return DataError(fmt::format("{}: caption entry {} {}; expected {{\"image_id\": 1, \"caption\": \"...\"}}.", name,
                                 index + 1, problem));
  };
  if (!value.is_object()) throw bad(fmt::format("is {}", value.type_name()));
  const auto id = value.find("image_id");
  if (id == value.end()) throw bad("has no image_id");
  if (!id->is_number_integer() && !id->is_string()) throw bad("has an image_id that is no integer or string");
  const auto caption = value.find("caption");
  if (caption == value.end()) throw bad("has no caption");
  if (!caption->is_string()) throw bad("has a caption that is no string");
  return {id->is_string() ? id->get<std::string>() : id->dump(), caption->get<std::string>()};
}

// The entries of a list, or of the list under "annotations" where that is allowed.
std::vector<Entry> read_entries(const CaptionFile& file, bool allow_annotations) {
  const nlohmann::json document = parse_json(file.bytes, file.name);
  const nlohmann::json* list = &document;
  if (allow_annotations && document.is_object() && document.contains("annotations")) list = &document["annotations"];
  if (!list->is_array()) {
    throw DataError(fmt::format("{}: found {}, expected {}.", file.name, list->type_name(),
                                allow_annotations
                                    ? "COCO captions: {\"annotations\": [{\"image_id\": 1, \"caption\": \"...\"}]}"
                                    : "a COCO result list: [{\"image_id\": 1, \"caption\": \"...\"}]"));
  }
  if (list->empty()) throw DataError(fmt::format("{}: the list of captions is empty.", file.name));
  std::vector<Entry> entries;
  entries.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) entries.push_back(read_entry((*list)[i], i, file.name));
  return entries;
}

std::vector<Pair> pair_images(const CaptionFile& predictions, const CaptionFile& references) {
  std::unordered_map<std::string, std::vector<std::string>> references_of;
  for (Entry& entry : read_entries(references, true)) references_of[entry.image_id].push_back(std::move(entry.caption));

  std::vector<Pair> pairs;
  std::unordered_set<std::string> seen;
  for (Entry& entry : read_entries(predictions, false)) {
    if (!seen.insert(entry.image_id).second) {
      throw DataError(fmt::format("{}: image_id {} has two predictions; expected one caption per image.",
                                  predictions.name, entry.image_id));
    }
    const auto found = references_of.find(entry.image_id);
    if (found == references_of.end()) {
      throw DataError(fmt::format("{}: image_id {} has no reference in {}; are the files of the same split?",
                                  predictions.name, entry.image_id, references.name));
    }
    pairs.push_back({entry.image_id, std::move(entry.caption), std::move(found->second)});
  }
  if (pairs.size() < references_of.size()) {
    log_warning(fmt::format("{} has captions for {} of the {} images of {}; the others are left out of the scores",
                            predictions.name, pairs.size(), references_of.size(), references.name));
  }
  return pairs;
}

std::vector<Pair> read_pairs(const fs::path& predictions_path, const fs::path& references_path) {
  const CaptionFile predictions = open_captions(predictions_path);
  const CaptionFile references = open_captions(references_path);
  if (predictions.is_json != references.is_json) {
    const auto format = [](const CaptionFile& file) { return file.is_json ? "JSON" : "text lines"; };
    throw DataError(fmt::format("{} is {} but {} is {}; give two JSON files (COCO) or two text files.",
                                predictions.name, format(predictions), references.name, format(references)));
  }
  return predictions.is_json ? pair_images(predictions, references) : pair_lines(predictions, references);
}

std::string pair_line(const Pair& pair, std::span<const std::unique_ptr<Metric>> metrics) {
  nlohmann::ordered_json line{{"id", pair.id}};
  for (const auto& metric : metrics) {
    for (const auto& [key, value] : metric->last()) line[key] = value;
  }
  return line.dump() + "\n";
}

}  // namespace

ScoreResult score_files(const fs::path& predictions, const fs::path& references,
                        std::span<const std::string> metric_names, const MetricOptions& options,
                        const fs::path& per_pair) {
  if (metric_names.empty()) throw ConfigError("no metric to score with; known: " + join(metrics().names(), ", ") + ".");
  std::vector<std::unique_ptr<Metric>> chosen;
  for (const std::string& name : metric_names) chosen.push_back(metrics().find(name).make(options));

  const std::vector<Pair> pairs = read_pairs(predictions, references);
  std::string lines;
  for (const Pair& pair : pairs) {
    for (const auto& metric : chosen) metric->add(pair.prediction, pair.references);
    if (!per_pair.empty()) lines += pair_line(pair, chosen);
  }
  if (!per_pair.empty()) write_file_atomic(per_pair, lines);

  ScoreResult result{.scores = {}, .num_pairs = static_cast<std::int64_t>(pairs.size())};
  for (const auto& metric : chosen) result.scores.merge(metric->result());
  return result;
}

}  // namespace capstan
