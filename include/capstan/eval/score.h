// Scores of caption files: predictions against references, without a model.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "capstan/metrics/metric.h"

namespace capstan {

struct ScoreResult {
  std::map<std::string, double> scores;  // means over the pairs, fractions by key
  std::int64_t num_pairs = 0;
};

// Both files are of one of two formats, told by extension (.json, .txt) or else by their first characters:
// - COCO: predictions [{"image_id": 1, "caption": "..."}], references {"annotations": [{"image_id", "caption"}]} or
//   such a list; an image's references are all its captions, and images without a prediction are left out.
// - Text: one caption a line, line N against line N. A blank line is an empty caption; the final newline ends the
//   last line and starts none.
// Throws DataError that names the file for: broken JSON or entries, an empty file, different numbers of lines, a
// prediction without reference, two predictions for one image, or one file of each format; ConfigError for an unknown
// metric or none.
//
// `per_pair`, unless empty, names a file to write with one JSON object a line, in the order of the predictions:
// {"id": "<image id, or line number from 1>", "rouge1": ..., ...}.
ScoreResult score_files(const std::filesystem::path& predictions, const std::filesystem::path& references,
                        std::span<const std::string> metric_names, const MetricOptions& options,
                        const std::filesystem::path& per_pair = {});

}  // namespace capstan
