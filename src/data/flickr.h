// Caption files of Flickr8k and Flickr30k, in every published layout.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/source_entry.h"
#include "data/split_rule.h"

namespace capstan {

struct FlickrConfig {
  std::string captions;
  std::string images;
  std::optional<std::string> train_list, validation_list, test_list;
  std::string unlisted = "drop";

  template <class Visitor>
  void fields(Visitor& v) {
    v("captions", captions,
      "The captions: NAME#NUMBER, tab, text (Flickr8k.token.txt, results_20130124.token), a CSV (captions.txt) or "
      "fields between bars (results.csv); the first line tells which.");
    v("images", images, "Folder of the pictures.");
    v("train_list", train_list, "List of the pictures to train on, as Flickr_8k.trainImages.txt.");
    v("validation_list", validation_list, "List of the pictures for validation, as Flickr_8k.devImages.txt.");
    v("test_list", test_list, "List of the pictures for test, as Flickr_8k.testImages.txt.");
    v("unlisted", unlisted,
      "With such lists, what becomes of pictures in none of them: drop, or the split they go to.");
  }
  void check(std::vector<std::string>& problems) const;
};

class Flickr final : public SourceFormat {
 public:
  explicit Flickr(FlickrConfig config) : config_(std::move(config)) {}
  void read(const OfferImage& offer, std::vector<LedgerEntry>& ledger) const override;
  std::string describe() const override;

 private:
  FlickrConfig config_;
};

}  // namespace capstan
