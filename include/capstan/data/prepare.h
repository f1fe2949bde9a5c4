// Sources to shards: every picture decoded and resized once, every caption tokenised once.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capstan/core/fields.h"
#include "capstan/data/captions.h"
#include "capstan/data/corpus.h"
#include "capstan/data/source.h"
#include "capstan/image/decode.h"
#include "capstan/image/processor.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

struct PrepareConfig {
  ImageProcessorConfig image;
  DecodeOptions decode;
  CaptionFilterConfig captions;
  std::string store = "raw";
  int jpeg_quality = 90;
  int images_per_shard = 4096;
  std::string on_leak = "error";
  std::int64_t max_errors = -1;
  int num_workers = 0;
  bool overwrite = false;

  template <class Visitor>
  void fields(Visitor& v) {
    v("image", image, "How pictures are resized, and normalised later on the device.");
    v("decode", decode, "How picture files are read.");
    v("captions", captions, "Which captions are taken.");
    v("store", store, "Keep resized pixels as they are, or as JPEG.", one_of({"raw", "jpeg"}));
    v("jpeg_quality", jpeg_quality, "Quality of stored JPEG pictures.", between(1, 100));
    v("images_per_shard", images_per_shard, "Pictures in one shard file.", between(1, 1'000'000));
    v("on_leak", on_leak,
      "What to do with a picture (the same bytes) of two splits: stop, or drop it from the training split.",
      one_of({"error", "drop"}));
    v("max_errors", max_errors, "Stop when more pictures or captions than this cannot be taken; -1 never.",
      at_least(-1));
    v("num_workers", num_workers, "Threads that decode pictures; 0 means one per core. The shards are the same.",
      between(0, 1024));
    v("overwrite", overwrite, "Replace a cache, finished or not, that is already there.");
  }
};

struct PrepareSummary {
  std::map<std::string, std::int64_t> images;    // by split
  std::map<std::string, std::int64_t> captions;  // by split
  std::int64_t errors = 0;                       // lines of errors.jsonl
  std::int64_t notes = 0;                        // lines of notes.jsonl
  std::uint64_t bytes = 0;
  double seconds = 0;
  double images_per_second = 0;    // of what this call did itself
  std::int64_t images_before = 0;  // that an earlier, interrupted call had done
};

// The tokenizer may be trained on what the sources hold.
using MakeTokenizer = std::function<std::shared_ptr<const Tokenizer>(const Corpus&)>;

// Writes shards, manifest.json, errors.jsonl, notes.jsonl, config.yaml and the tokenizer's files to `output`.
// `resolved_config`: YAML kept beside them.
//
// After any interruption (a kill, a full disk, a stop) the same call goes on behind the last finished shard and ends
// with the same bytes as one that was never interrupted; a finished cache of the same inputs is left as it is. Where
// no shard was finished, nothing stays behind.
// DataError when nothing could be taken, the output holds something else, another process writes it, the disk is too
// small, a picture is in two splits, or too many errors came; Error when a stop was requested (core/signals.h).
PrepareSummary prepare(const std::vector<std::unique_ptr<CaptionSource>>& sources, const MakeTokenizer& make_tokenizer,
                       const PrepareConfig& config, const std::filesystem::path& output,
                       const std::string& resolved_config);

}  // namespace capstan
