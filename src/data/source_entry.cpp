#include "data/source_entry.h"

#include <fmt/format.h>

#include <map>

#include "capstan/core/error.h"
#include "data/split_rule.h"

namespace capstan {
namespace {

// A format with the user's rules on top.
class RuledSource final : public CaptionSource {
 public:
  RuledSource(std::string name, std::unique_ptr<SourceFormat> format, SourceOptions options)
      : name_(std::move(name)), format_(std::move(format)), options_(std::move(options)) {}

  void read(const TakeImage& take, std::vector<LedgerEntry>& ledger) const override {
    const bool one_split = options_.split != "files" && options_.split != "hash";
    std::map<std::string, std::int64_t> taken;
    const auto offer = [&](CaptionedImage image) {
      image.split = split_of(image);
      std::int64_t& count = taken[image.split];
      const bool wanted = options_.max_images == 0 || count < options_.max_images;
      if (wanted) {
        ++count;
        take(std::move(image));
      }
      return !one_split || options_.max_images == 0 || count < options_.max_images;
    };
    format_->read(offer, ledger);
  }

  std::string describe() const override {
    std::string text = name_ + ": " + format_->describe();
    if (options_.split == "hash")
      text += fmt::format("; split by hash (validation {}, test {}, seed {})", options_.split_shares.validation,
                          options_.split_shares.test, options_.split_seed);
    else if (options_.split != "files")
      text += "; all of it for " + options_.split;
    if (options_.max_images > 0) text += fmt::format("; at most {} pictures a split", options_.max_images);
    return text;
  }

  double weight() const override { return options_.weight; }

 private:
  std::string split_of(const CaptionedImage& image) const {
    const std::string name = image.corpus_name();
    if (options_.split == "hash")
      return hash_split(name, static_cast<std::uint64_t>(options_.split_seed), options_.split_shares.validation,
                        options_.split_shares.test);
    if (options_.split != "files") return options_.split;
    if (!image.split.empty()) return image.split;
    throw DataError(
        fmt::format("the source {}: the picture {} belongs to no split, because its files do not say which. Set split: "
                    "hash to have splits drawn by the pictures' names, or split: train to take every picture for "
                    "training",
                    name_, name));
  }

  std::string name_;
  std::unique_ptr<SourceFormat> format_;
  SourceOptions options_;
};

}  // namespace

void SourceOptions::check(std::vector<std::string>& problems) const {
  if (!is_plain_split(split))
    problems.push_back(
        fmt::format("split: found '{}', expected files, hash or a split's name of letters and digits", split));
  if (split_shares.validation + split_shares.test > 1)
    problems.push_back(
        fmt::format("split_shares: validation {} and test {} are more than everything; expected a sum "
                    "of at most 1",
                    split_shares.validation, split_shares.test));
  const SplitShares usual;
  const bool changed = split_shares.validation != usual.validation || split_shares.test != usual.test;
  if (split != "hash" && (changed || split_seed != 0))
    problems.push_back(
        fmt::format("split_shares and split_seed mean something only with split: hash, found split: {}", split));
}

std::unique_ptr<CaptionSource> make_source(std::string name, std::unique_ptr<SourceFormat> format,
                                           SourceOptions options) {
  return std::make_unique<RuledSource>(std::move(name), std::move(format), std::move(options));
}

}  // namespace capstan
