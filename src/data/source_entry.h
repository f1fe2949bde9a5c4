// One published format as a plug-in: its own options and those that every source has, read together and strictly, and
// the rules on splits and counts that hold for all of them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capstan/config/read.h"
#include "capstan/config/write.h"
#include "capstan/data/source.h"

namespace capstan {

// Of the pictures that `split: hash` deals out; training gets the rest.
struct SplitShares {
  double validation = 0.1;
  double test = 0.1;

  template <class Visitor>
  void fields(Visitor& v) {
    v("validation", validation, "Share of the pictures that `split: hash` gives to validation.", between(0, 1));
    v("test", test, "Share that it gives to test; training gets the rest.", between(0, 1));
  }
};

struct SourceOptions {
  std::string split = "files";
  SplitShares split_shares;
  std::int64_t split_seed = 0;
  double weight = 1;
  std::int64_t max_images = 0;

  template <class Visitor>
  void fields(Visitor& v) {
    v("split", split,
      "files: as the annotations say; hash: drawn by the picture's name, so that more pictures never move others; "
      "any other name: the split that takes every picture.");
    v("split_shares", split_shares, "How `split: hash` deals the pictures out.");
    v("split_seed", split_seed, "Another seed deals them out differently.", at_least(0));
    v("weight", weight, "How often its captions are drawn, compared with a source of weight 1.", above(0));
    v("max_images", max_images, "Most pictures to take of each split, the first ones; 0 takes all.", at_least(0));
  }
  void check(std::vector<std::string>& problems) const;
};

template <class Config>
struct WithSourceOptions {
  Config own;
  SourceOptions common;

  template <class Visitor>
  void fields(Visitor& v) {
    own.fields(v);
    common.fields(v);
  }
  void check(std::vector<std::string>& problems) const {
    if constexpr (config::HasCheck<Config>) own.check(problems);
    common.check(problems);
  }
};

// Takes one picture; false: enough, nothing more is needed.
using OfferImage = std::function<bool(CaptionedImage image)>;

// A published format: as CaptionSource, with `split` empty where the files do not say.
class SourceFormat {
 public:
  virtual ~SourceFormat() = default;
  virtual void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const = 0;
  virtual std::string describe() const = 0;
};

// `name` is the plug-in's, for messages.
std::unique_ptr<CaptionSource> make_source(std::string name, std::unique_ptr<SourceFormat> format,
                                           SourceOptions options);

// `Format` is made from its Config and does no work before read().
template <class Format, class Config>
SourceEntry make_source_entry(std::string name, std::string summary) {
  return {.name = name,
          .summary = std::move(summary),
          .make = [name](const config::Node& node, config::Problems& problems) -> std::unique_ptr<CaptionSource> {
            WithSourceOptions<Config> options;
            config::read(node, options, problems);
            return make_source(name, std::make_unique<Format>(std::move(options.own)), std::move(options.common));
          },
          .document = [] { return config::document_fields<WithSourceOptions<Config>>(); }};
}

}  // namespace capstan
