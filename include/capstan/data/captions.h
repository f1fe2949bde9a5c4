// Which captions of a corpus are taken.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capstan/core/fields.h"

namespace capstan {

struct CaptionFilterConfig {
  int min_characters = 1;
  int max_characters = 10'000;
  int min_words = 1;
  int max_words = 0;
  std::string must_match;
  std::string must_not_match;
  std::string duplicates = "keep";

  template <class Visitor>
  void fields(Visitor& v) {
    v("min_characters", min_characters, "Shorter captions are left out (Unicode characters, outer spaces aside).",
      at_least(1));
    v("max_characters", max_characters, "Longer captions are left out.", between(1, 1'000'000));
    v("min_words", min_words, "Captions of fewer words are left out.", at_least(1));
    v("max_words", max_words, "Captions of more words are left out; 0 means any number.", at_least(0));
    v("must_match", must_match, "Regular expression (ECMAScript) that must be found in a caption; empty takes all.");
    v("must_not_match", must_not_match, "Regular expression that must not be found in a caption.");
    v("duplicates", duplicates,
      "What becomes of a caption that a picture has twice (case and spaces aside); both ways it is reported.",
      one_of({"keep", "drop"}));
  }
  void check(std::vector<std::string>& problems) const;  // the expressions can be compiled
};

// Thread-safe. ConfigError when an expression is wrong.
class CaptionFilter {
 public:
  explicit CaptionFilter(const CaptionFilterConfig& config);
  ~CaptionFilter();

  // Why `caption` is not taken; nothing when it is.
  std::optional<std::string> refuse(const std::string& caption) const;
  // What is odd about a caption that is taken: a single word.
  std::optional<std::string> remark(const std::string& caption) const;
  bool drops_duplicates() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The text by which two captions are told apart: lower case (ASCII), runs of spaces as one, none outside.
std::string caption_key(const std::string& caption);

}  // namespace capstan
