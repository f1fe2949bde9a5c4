// The folder around the shards: what may be in it, what an interrupted call left, and what is written last.
#include "capstan/data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"
#include "capstan/core/version.h"
#include "data/cache_folder.h"
#include "data/journal.h"
#include "data/manifest.h"
#include "data/shard.h"
#include "data/shard_run.h"

namespace capstan {
namespace {

constexpr std::uint64_t kBytesPerCaption = 160;  // text, ids and offsets, generously, for the free-space check
constexpr std::uint64_t kJpegRatio = 5;          // raw bytes per JPEG byte, pessimistically, for the same

// Everything that decides the bytes of finished shards.
std::string plan_checksum(const Corpus& corpus, const std::string& tokenizer, PrepareConfig config) {
  config.max_errors = -1;
  config.num_workers = 0;
  config.on_leak.clear();  // a shard with a leak is never finished under `error`
  config.overwrite = false;
  std::string text = fmt::format("{}\n{}\n{}\n{}\n", version(), kShardFormatVersion, tokenizer, corpus.fingerprint());
  for (const CorpusSource& source : corpus.sources()) text += fmt::format("{} {}\n", source.description, source.weight);
  return checksum_bytes(text + config::to_yaml(config));
}

void write_ledger(const fs::path& path, const std::vector<LedgerEntry>& entries) {
  std::string lines;
  for (const LedgerEntry& entry : entries) {
    const nlohmann::ordered_json line{{"file", entry.file}, {"reason", entry.reason}};
    lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  write_file_atomic(path, lines);
}

PrepareSummary summary_of(const Manifest& manifest) {
  PrepareSummary summary;
  for (const auto& [split, shards] : manifest.splits)
    for (const ShardRecord& shard : shards) {
      summary.images[split] += shard.images;
      summary.captions[split] += shard.captions;
      summary.bytes += shard.bytes;
    }
  summary.errors = manifest.errors;
  summary.notes = manifest.notes;
  return summary;
}

class Preparation {
 public:
  Preparation(const PrepareConfig& config, const fs::path& output) : config_(config), output_(output) {
    if (config.store != "raw" && config.store != "jpeg")
      throw ConfigError(fmt::format("store: found '{}', expected raw or jpeg", config.store));
    refuse_foreign_files();
    created_ = !fs::exists(output);
    require_output_directory(output, true);
  }

  ~Preparation() {
    std::error_code ignored;
    if (created_) fs::remove(output_, ignored);  // where nothing was written to it
  }

  PrepareSummary run(const std::vector<std::unique_ptr<CaptionSource>>& sources, const MakeTokenizer& make_tokenizer,
                     const std::string& resolved_config) {
    Journal journal(output_);
    try {
      remove_leftovers(output_);
      const Corpus corpus(sources, config_.captions, config_.max_errors, output_);
      const auto tokenizer = make_tokenizer(corpus);
      const TempDir saved;
      tokenizer->save(saved.path());
      const std::string fingerprint = tokenizer_fingerprint(saved.path());
      const std::string plan = plan_checksum(corpus, fingerprint, config_);
      if (auto summary = finished_before(plan, journal)) return *summary;
      take_over(journal, plan, *tokenizer);
      return write(corpus, *tokenizer, fingerprint, plan, resolved_config, journal);
    } catch (...) {
      if (writing_ && !journal.has_shards()) remove_cache(output_, true);
      if (!journal.has_shards()) journal.remove();
      throw;
    }
  }

 private:
  bool has(const char* name) const { return fs::exists(output_ / name); }

  // Before the sources are read, which may take minutes.
  void refuse_foreign_files() const {
    if (config_.overwrite || !fs::is_directory(output_) || fs::is_empty(output_)) return;
    if (!has(kManifestName) && !has(kJournalName)) require_output_directory(output_, false);
  }

  // A finished cache that this call would write again.
  std::optional<PrepareSummary> finished_before(const std::string& plan, Journal& journal) const {
    if (config_.overwrite || !has(kManifestName)) return std::nullopt;
    const Manifest manifest = read_manifest(output_);
    if (manifest.plan != plan)
      throw DataError(
          fmt::format("{}: holds a cache of other data or options; choose another output with output=DIR, or pass "
                      "overwrite=true to replace it",
                      output_.string()));
    journal.remove();
    log_info(fmt::format("{} is finished and current; overwrite=true would write it again", output_.string()));
    PrepareSummary summary = summary_of(manifest);
    for (const auto& [split, images] : summary.images) summary.images_before += images;
    return summary;
  }

  // Goes on with the shards of an interrupted call, or clears the folder for new ones.
  void take_over(Journal& journal, const std::string& plan, const Tokenizer& tokenizer) {
    const bool same = journal.plan() == plan;
    if (!same && !journal.plan().empty() && !config_.overwrite)
      throw DataError(
          fmt::format("{}: holds an unfinished cache of other data or options; go on with those, choose "
                      "another output, or pass overwrite=true to start anew",
                      output_.string()));
    writing_ = true;
    if (same && !config_.overwrite) return;
    remove_cache(output_, true);
    fs::create_directories(output_ / kTokenizerFolder);
    tokenizer.save(output_ / kTokenizerFolder);
    journal.begin(plan);
  }

  PrepareSummary write(const Corpus& corpus, const Tokenizer& tokenizer, const std::string& fingerprint,
                       const std::string& plan, const std::string& resolved_config, Journal& journal) {
    ShardRun shards(corpus, tokenizer, fingerprint, config_, output_, journal);
    require_free_space(output_, estimated_bytes(corpus, shards.images_left()));
    if (shards.images_before() > 0)
      log_info(fmt::format("going on: {} of {} pictures are done", shards.images_before(), corpus.num_images()));
    std::vector<LedgerEntry> errors = corpus.errors(), notes = corpus.notes();
    shards.run(errors);
    Manifest manifest;
    manifest.created_by = "capstan " + version();
    manifest.store = config_.store;
    manifest.image_processor = config_.image;
    manifest.tokenizer_kind = tokenizer.kind();
    manifest.tokenizer_fingerprint = fingerprint;
    manifest.vocab_size = tokenizer.vocab_size();
    manifest.plan = plan;
    manifest.sources = corpus.sources();
    shards.collect(manifest, notes);
    if (manifest.splits.empty())
      throw DataError(
          fmt::format("none of {} pictures could be taken{}", corpus.num_images(), first_errors_text(errors)));
    manifest.errors = static_cast<std::int64_t>(errors.size());
    manifest.notes = static_cast<std::int64_t>(notes.size());
    write_ledger(output_ / kErrorsName, errors);
    write_ledger(output_ / kNotesName, notes);
    write_file_atomic(output_ / kConfigName, resolved_config);
    write_manifest(output_, manifest);
    journal.remove();
    PrepareSummary summary = summary_of(manifest);
    summary.images_before = shards.images_before();
    summary.seconds = shards.seconds();
    summary.images_per_second = static_cast<double>(shards.images_left()) / std::max(1e-9, summary.seconds);
    return summary;
  }

  std::uint64_t estimated_bytes(const Corpus& corpus, std::int64_t images) const {
    const auto size = static_cast<std::uint64_t>(config_.image.size);
    const std::uint64_t raw = size * size * 3;
    const auto captions = static_cast<std::uint64_t>(corpus.num_captions() / corpus.num_images() + 1);
    return static_cast<std::uint64_t>(images) *
           ((config_.store == "raw" ? raw : raw / kJpegRatio) + captions * kBytesPerCaption);
  }

  const PrepareConfig& config_;
  const fs::path& output_;
  bool created_ = false;
  bool writing_ = false;  // what is there is ours
};

}  // namespace

PrepareSummary prepare(const std::vector<std::unique_ptr<CaptionSource>>& sources, const MakeTokenizer& make_tokenizer,
                       const PrepareConfig& config, const fs::path& output, const std::string& resolved_config) {
  try {
    return Preparation(config, output).run(sources, make_tokenizer, resolved_config);
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("{}: {}", output.string(), error.what()));
  }
}

}  // namespace capstan
