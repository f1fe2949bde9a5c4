// What the sources of a run hold, read once: splits known, captions filtered, pictures not yet opened.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "capstan/data/captions.h"
#include "capstan/data/source.h"

namespace capstan {

struct CorpusSource {
  std::string description;
  double weight = 1;
};

// Records wait in a nameless file, so that memory holds only a few bytes a picture. Thread-safe once made.
class Corpus {
 public:
  // `folder`: where the nameless file may lie. DataError as CaptionSource::read, and when more than `max_errors`
  // records (-1: any number) or all of them cannot be taken.
  Corpus(const std::vector<std::unique_ptr<CaptionSource>>& sources, const CaptionFilterConfig& filter,
         std::int64_t max_errors, const std::filesystem::path& folder);
  ~Corpus();

  const std::vector<std::string>& splits() const;  // in the order in which they first came
  const std::vector<CorpusSource>& sources() const;
  std::int64_t num_images() const;
  std::int64_t num_images(std::size_t split) const;
  std::int64_t num_captions() const;

  struct Record {
    CaptionedImage image;
    std::int32_t source = 0;
  };
  // Picture `index` of a split; pictures keep the order of the sources.
  Record read(std::size_t split, std::int64_t index) const;
  // Every caption of a split, for training a tokenizer; empty when there is no such split.
  std::vector<std::string> captions(const std::string& split) const;

  const std::vector<LedgerEntry>& errors() const;  // what could not be taken so far
  const std::vector<LedgerEntry>& notes() const;   // what was taken but is worth a look
  // Changes with anything that the records say.
  const std::string& fingerprint() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "; the first errors:" and a line for each of the first few; empty when there is none.
std::string first_errors_text(const std::vector<LedgerEntry>& errors);
// DataError when there are more than `max_errors` (-1: any number).
void check_error_count(const std::vector<LedgerEntry>& errors, std::int64_t max_errors);

}  // namespace capstan
