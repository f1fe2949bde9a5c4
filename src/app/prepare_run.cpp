// capstan prepare: sources and a tokenizer, then the cache.
#include <fmt/format.h>

#include "capstan/app/build.h"
#include "capstan/config/write.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/log.h"

namespace capstan::app {
namespace {

std::shared_ptr<const Tokenizer> make_tokenizer(const TokenizerSection& section, const Corpus& corpus) {
  if (section.train == "none") return load_tokenizer(section.path, section.options);
  const auto captions = corpus.captions("train");
  if (captions.empty())
    throw DataError("the training split has no captions to train a tokenizer on; name one with tokenizer.path");
  const TempDir folder;
  log_info(fmt::format("training a {} tokenizer on {} captions", section.train, captions.size()));
  if (section.train == "byte_bpe")
    train_byte_bpe(captions, section.byte_bpe, folder.path());
  else
    train_sentencepiece(captions, section.sentencepiece, folder.path());
  return load_tokenizer(folder.path(), section.options);
}

}  // namespace

PrepareSummary run_prepare(const PrepareRun& run, bool dry_run) {
  config::Problems problems;
  const auto sources = make_sources(run.sources, problems);
  problems.throw_if_any();
  const int size = run.prepare.image.size;
  if (dry_run) {
    const auto folder = TempDir();
    const Corpus corpus(sources, run.prepare.captions, run.prepare.max_errors, folder.path());
    if (!run.tokenizer.path.empty()) load_tokenizer(run.tokenizer.path, run.tokenizer.options);
    log_info(fmt::format("dry run: {} pictures, {} captions, {} problems in the annotations, {}x{} pixels as {}, to {}",
                         corpus.num_images(), corpus.num_captions(), corpus.errors().size(), size, size,
                         run.prepare.store, run.output));
    return {};
  }
  const auto tokenizer = [&](const Corpus& corpus) { return make_tokenizer(run.tokenizer, corpus); };
  return prepare(sources, tokenizer, run.prepare, run.output, config::to_yaml(run));
}

}  // namespace capstan::app
