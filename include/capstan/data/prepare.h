// Sources to shards: every picture decoded and resized once, every caption tokenised once.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/data/source.h"
#include "capstan/image/processor.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct PrepareOptions {
  std::filesystem::path output;
  std::string store = "raw";  // or "jpeg"
  int jpeg_quality = 90;
  int images_per_shard = 4096;
  int max_errors = -1;  // -1: any number
  bool overwrite = false;
  int num_workers = 0;  // threads that decode; 0: one per core. The shards are the same for any number
  ImageProcessorConfig image;
  std::string resolved_config;  // YAML kept beside the shards
};

struct PrepareSummary {
  std::map<std::string, std::int64_t> images;    // by split
  std::map<std::string, std::int64_t> captions;  // by split
  std::int64_t errors = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
};

// Writes shards, manifest.json, errors.jsonl, config.yaml and the tokenizer's files. DataError when nothing could
// be taken, the output holds something already, the disk is too small, or too many errors came; Error when a stop
// was requested (core/signals.h). After a failure nothing of the new cache stays behind. `overwrite` removes only
// what a cache consists of, and only once the sources have been read.
PrepareSummary prepare(const std::vector<std::unique_ptr<CaptionSource>>& sources, const Tokenizer& tokenizer,
                       const PrepareOptions& options);

}  // namespace capstan
