// Sources to shards. Workers decode, resize and tokenise; one thread takes their results in order and writes, so the
// files do not depend on the number of workers.
#include "capstan/data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/progress.h"
#include "capstan/core/signals.h"
#include "capstan/core/version.h"
#include "capstan/image/decode.h"
#include "data/cache_folder.h"
#include "data/manifest.h"
#include "data/ordered.h"
#include "data/shard.h"

namespace capstan {
namespace {

constexpr std::int64_t kAheadPerWorker = 8;      // pictures decoded before they are written
constexpr std::uint64_t kBytesPerCaption = 160;  // text, ids and offsets, generously, for the free-space check
constexpr std::uint64_t kJpegRatio = 5;          // raw bytes per JPEG byte, pessimistically, for the same
constexpr std::size_t kErrorsShown = 3;

struct Candidate {
  CaptionedImage image;
  std::int32_t source = 0;
};

// What a worker makes of a candidate: pixels or JPEG bytes and ids, or the reason why not.
struct Prepared {
  std::vector<std::uint8_t> payload;
  std::vector<std::vector<std::int64_t>> token_ids;
  std::optional<std::string> error;
};

class Preparation {
 public:
  Preparation(const std::vector<std::unique_ptr<CaptionSource>>& sources, const Tokenizer& tokenizer,
              const PrepareOptions& options)
      : sources_(sources), tokenizer_(tokenizer), options_(options), processor_(options.image) {}

  PrepareSummary run() {
    if (options_.store != "raw" && options_.store != "jpeg")
      throw ConfigError(fmt::format("store: found '{}', expected raw or jpeg", options_.store));
    const bool created = !fs::exists(options_.output);
    require_output_directory(options_.output, options_.overwrite);
    bool writing = false;
    try {
      read_sources();
      require_free_space(options_.output, estimated_bytes());
      writing = true;
      remove_cache(options_.output, fs::exists(options_.output / kManifestName));
      write();
    } catch (...) {
      std::error_code ignored;
      if (writing) remove_cache(options_.output, true);
      if (created) fs::remove(options_.output, ignored);
      throw;
    }
    return summary_;
  }

 private:
  void read_sources() {
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      manifest_.sources.push_back(sources_[i]->describe());
      for (CaptionedImage& image : sources_[i]->read(ledger_)) add_candidate(std::move(image), i);
    }
    check_errors();
    if (candidates_.empty())
      throw DataError(fmt::format("the data set is empty: no picture with a caption was found{}", first_errors()));
    // Splits in the order in which they first came; within one, the order of the sources.
    std::stable_sort(candidates_.begin(), candidates_.end(), [&](const Candidate& a, const Candidate& b) {
      return split_rank(a.image.split) < split_rank(b.image.split);
    });
  }

  void add_candidate(CaptionedImage image, std::size_t source) {
    if (image.captions.empty()) return skip(image.file.string(), "the image has no caption");
    const bool plain = !image.split.empty() && std::all_of(image.split.begin(), image.split.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
    if (!plain) return skip(image.file.string(), "the split's name '" + image.split + "' is not letters and digits");
    if (std::find(splits_.begin(), splits_.end(), image.split) == splits_.end()) splits_.push_back(image.split);
    candidates_.push_back({std::move(image), static_cast<std::int32_t>(source)});
  }

  std::ptrdiff_t split_rank(const std::string& split) const {
    return std::find(splits_.begin(), splits_.end(), split) - splits_.begin();
  }

  std::uint64_t estimated_bytes() const {
    const auto size = static_cast<std::uint64_t>(options_.image.size);
    std::uint64_t captions = 0;
    for (const Candidate& candidate : candidates_) captions += candidate.image.captions.size();
    const std::uint64_t raw = size * size * 3;
    return candidates_.size() * (options_.store == "raw" ? raw : raw / kJpegRatio) + captions * kBytesPerCaption;
  }

  void skip(std::string file, std::string reason) { ledger_.push_back({std::move(file), std::move(reason)}); }

  std::string first_errors() const {
    std::string text;
    for (std::size_t i = 0; i < std::min(kErrorsShown, ledger_.size()); ++i)
      text += fmt::format("\n  {}: {}", ledger_[i].file, ledger_[i].reason);
    return text.empty() ? text : "; the first errors:" + text;
  }

  void check_errors() const {
    if (options_.max_errors >= 0 && ledger_.size() > static_cast<std::size_t>(options_.max_errors))
      throw DataError(
          fmt::format("{} errors, more than max_errors={}{}", ledger_.size(), options_.max_errors, first_errors()));
  }

  void write() {
    fs::create_directories(options_.output / kTokenizerFolder);
    tokenizer_.save(options_.output / kTokenizerFolder);
    manifest_.tokenizer_fingerprint = tokenizer_fingerprint(options_.output / kTokenizerFolder);
    write_shards();
    if (manifest_.splits.empty())
      throw DataError(fmt::format("none of {} pictures could be taken{}", candidates_.size(), first_errors()));
    write_errors();
    write_file_atomic(options_.output / kConfigName, options_.resolved_config);
    manifest_.created_by = "capstan " + version();
    manifest_.store = options_.store;
    manifest_.image_processor = options_.image;
    manifest_.tokenizer_kind = tokenizer_.kind();
    manifest_.vocab_size = tokenizer_.vocab_size();
    manifest_.errors = static_cast<std::int64_t>(ledger_.size());
    write_manifest(options_.output, manifest_);
    summary_.errors = manifest_.errors;
  }

  void write_shards() {
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    const int workers = options_.num_workers > 0 ? options_.num_workers : cores;
    const auto total = static_cast<std::int64_t>(candidates_.size());
    Progress progress("prepare", total, "images");
    Ordered<Prepared> results(workers, workers * kAheadPerWorker, total, [this](std::int64_t index) {
      return prepare_image(candidates_[static_cast<std::size_t>(index)].image);
    });
    for (std::size_t first = 0; first < candidates_.size();) {
      const std::string& split = candidates_[first].image.split;
      std::size_t end = first;
      while (end < candidates_.size() && candidates_[end].image.split == split) ++end;
      std::vector<ShardRecord> shards;
      const auto step = static_cast<std::size_t>(std::max(1, options_.images_per_shard));
      for (std::int64_t number = 0; first < end; ++number) {
        const std::size_t count = std::min(step, end - first);
        const auto record = write_shard(shard_name(split, number), first, count, results, progress);
        if (record) shards.push_back(*record);
        first += count;
      }
      finish_split(split, std::move(shards));
    }
    summary_.seconds = progress.seconds();
  }

  // Nothing when every picture of the shard failed.
  std::optional<ShardRecord> write_shard(const std::string& name, std::size_t first, std::size_t count,
                                         Ordered<Prepared>& results, Progress& progress) {
    const fs::path path = options_.output / name;
    ShardWriter shard(path,
                      {.split = candidates_[first].image.split,
                       .store = options_.store,
                       .tokenizer = manifest_.tokenizer_fingerprint,
                       .image_size = options_.image.size},
                      static_cast<std::int64_t>(count));
    for (std::size_t i = first; i < first + count; ++i) {
      if (stop_requested())
        throw Error(fmt::format("prepare was stopped after {} of {} pictures; nothing was kept in {}", i,
                                candidates_.size(), options_.output.string()));
      take(candidates_[i], results.next(), shard);
      progress.advance(1);
    }
    if (shard.num_images() == 0) return std::nullopt;
    shard.finish();
    return ShardRecord{.file = name,
                       .images = shard.num_images(),
                       .captions = shard.num_captions(),
                       .tokens = shard.num_tokens(),
                       .bytes = fs::file_size(path),
                       .checksum = checksum_file(path)};
  }

  void take(const Candidate& candidate, Prepared prepared, ShardWriter& shard) {
    const CaptionedImage& image = candidate.image;
    if (prepared.error) {
      skip(image.file.string(), *prepared.error);
      return check_errors();
    }
    const std::string file = image.name.empty() ? image.file.filename().string() : image.name;
    shard.add({.image_id = image.image_id,
               .image_file = file,
               .source = candidate.source,
               .payload = prepared.payload,
               .captions = image.captions,
               .token_ids = prepared.token_ids});
  }

  void finish_split(const std::string& split, std::vector<ShardRecord> shards) {
    if (shards.empty()) return log_warning(fmt::format("no picture of the split '{}' could be taken", split));
    for (const ShardRecord& shard : shards) {
      summary_.images[split] += shard.images;
      summary_.captions[split] += shard.captions;
      summary_.bytes += shard.bytes;
    }
    manifest_.splits.emplace_back(split, std::move(shards));
  }

  // Runs in the workers: reads only what does not change.
  Prepared prepare_image(const CaptionedImage& image) const {
    Prepared result;
    try {
      Image resized = processor_.resize(read_image(image.file));
      if (options_.store == "raw") {
        result.payload = std::move(resized.rgb);
      } else {
        const std::string jpeg = encode_jpeg(resized, options_.jpeg_quality);
        result.payload.assign(jpeg.begin(), jpeg.end());
      }
      for (const std::string& caption : image.captions) result.token_ids.push_back(tokenizer_.encode(caption));
    } catch (const Error& error) {
      const std::string text = error.what(), prefix = image.file.string() + ": ";
      result.error = text.starts_with(prefix) ? text.substr(prefix.size()) : text;
    }
    return result;
  }

  void write_errors() const {
    std::string lines;
    for (const LedgerEntry& entry : ledger_) {
      const nlohmann::ordered_json line{{"file", entry.file}, {"reason", entry.reason}};
      lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    write_file_atomic(options_.output / kErrorsName, lines);
  }

  const std::vector<std::unique_ptr<CaptionSource>>& sources_;
  const Tokenizer& tokenizer_;
  const PrepareOptions& options_;
  const ImageProcessor processor_;
  std::vector<Candidate> candidates_;
  std::vector<std::string> splits_;
  std::vector<LedgerEntry> ledger_;
  Manifest manifest_;
  PrepareSummary summary_;
};

}  // namespace

PrepareSummary prepare(const std::vector<std::unique_ptr<CaptionSource>>& sources, const Tokenizer& tokenizer,
                       const PrepareOptions& options) {
  try {
    return Preparation(sources, tokenizer, options).run();
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("{}: {}", options.output.string(), error.what()));
  }
}

}  // namespace capstan
