// capstan prepare: sources and a tokenizer, then the cache.
#include <fmt/format.h>

#include "capstan/app/build.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"

namespace capstan::app {
namespace {

// What a source gave when it was read, so that a tokenizer can be trained on it before the cache is written
// without reading the annotations again.
class ReadSource final : public CaptionSource {
 public:
  explicit ReadSource(const CaptionSource& source) : description_(source.describe()) { images_ = source.read(ledger_); }
  std::vector<CaptionedImage> read(std::vector<LedgerEntry>& ledger) const override {
    ledger.insert(ledger.end(), ledger_.begin(), ledger_.end());
    return images_;
  }
  std::string describe() const override { return description_; }
  const std::vector<CaptionedImage>& images() const { return images_; }

 private:
  std::string description_;
  std::vector<LedgerEntry> ledger_;
  std::vector<CaptionedImage> images_;
};

std::vector<std::string> training_captions(const std::vector<std::unique_ptr<CaptionSource>>& sources) {
  std::vector<std::string> captions;
  for (const auto& source : sources)
    for (const auto& image : static_cast<const ReadSource&>(*source).images())
      if (image.split == "train") captions.insert(captions.end(), image.captions.begin(), image.captions.end());
  if (captions.empty())
    throw DataError("the training split has no captions to train a tokenizer on; name one with tokenizer.path");
  return captions;
}

std::shared_ptr<const Tokenizer> make_tokenizer(const TokenizerSection& section,
                                                const std::vector<std::unique_ptr<CaptionSource>>& sources) {
  if (section.train == "none") return load_tokenizer(section.path);
  const TempDir folder;
  const auto captions = training_captions(sources);
  log_info(fmt::format("training a {} tokenizer on {} captions", section.train, captions.size()));
  if (section.train == "byte_bpe")
    train_byte_bpe(captions, section.byte_bpe, folder.path());
  else
    train_sentencepiece(captions, section.sentencepiece, folder.path());
  return load_tokenizer(folder.path());
}

}  // namespace

PrepareSummary run_prepare(const PrepareRun& run, bool dry_run) {
  config::Problems problems;
  auto sources = make_sources(run.sources, problems);
  problems.throw_if_any();
  if (dry_run) {
    if (!run.tokenizer.path.empty()) load_tokenizer(run.tokenizer.path);
    log_info(fmt::format("dry run: {} source(s), {}x{} pixels as {}, to {}", sources.size(), run.image.size,
                         run.image.size, run.store, run.output));
    return {};
  }
  if (!run.overwrite && fs::is_directory(run.output) && !fs::is_empty(run.output))
    require_output_directory(run.output, false);  // refused before a tokenizer is trained
  for (auto& source : sources) source = std::make_unique<ReadSource>(*source);
  const auto tokenizer = make_tokenizer(run.tokenizer, sources);
  PrepareOptions options;
  options.output = run.output;
  options.store = run.store;
  options.jpeg_quality = run.jpeg_quality;
  options.images_per_shard = run.images_per_shard;
  options.max_errors = run.max_errors;
  options.num_workers = run.num_workers;
  options.overwrite = run.overwrite;
  options.image = run.image;
  options.resolved_config = config::to_yaml(run);
  return prepare(sources, *tokenizer, options);
}

}  // namespace capstan::app
