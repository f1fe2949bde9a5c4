// Which split a picture belongs to: by its name's hash, by published lists of names, or by a word in the annotations.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capstan/data/source.h"

namespace capstan {

// Depends on the name and the seed alone: more pictures never move others.
std::string hash_split(std::string_view name, std::uint64_t seed, double validation_share, double test_share);

// train, validation or test for the words that corpora use for them (training; val, valid, dev; testing); other names
// stay as they are.
std::string canonical_split(std::string_view word);

// Letters, digits, '_' and '-': splits become file names.
bool is_plain_split(std::string_view split);

// The value of an option `unlisted` (see SplitLists).
void check_unlisted(const std::string& unlisted, std::vector<std::string>& problems);

// Files that name the pictures of a split, one a line.
struct SplitListFiles {
  std::optional<std::string> train, validation, test;
  bool any() const { return train || validation || test; }
};

// Names are compared without folders and extension: Flickr_8k.trainImages.txt, Flickr30k's train.txt (numbers alone)
// and Karpathy's "val2014/COCO_val2014_000000011169.jpg 11169" are all understood.
class SplitLists {
 public:
  // kCocoNumbers: pictures are the same when the number that ends their names is, so that lists for the files of 2014
  // (COCO_val2014_000000011169.jpg) hold for those of 2017 (000000011169.jpg).
  enum class Match { kNames, kCocoNumbers };

  // `unlisted`: what becomes of pictures in no list: drop, files (their split stays) or the split they go to.
  // DataError when a list cannot be read, is empty, or a picture is in two of them.
  SplitLists(const SplitListFiles& files, Match match, std::string unlisted);

  // Sets the split; false when the picture is to be left out.
  bool assign(CaptionedImage& image);
  // One line each in the log for pictures that were left out and for listed ones that never came.
  void report() const;

 private:
  struct Listed {
    const char* split;
    bool found = false;
  };
  void add_list(const std::string& file, const char* split);
  std::string key_of(std::string_view name) const;

  Match match_;
  std::string unlisted_;
  std::unordered_map<std::string, Listed> listed_;
  std::int64_t num_dropped_ = 0;
};

}  // namespace capstan
