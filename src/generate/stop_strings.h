// Texts that end a caption, found as transformers' StopStringCriteria does: where the last token completes one.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capstan/text/tokenizer.h"

namespace capstan::search {

// Immutable after construction.
class StopStrings {
 public:
  StopStrings(const Tokenizer& tokenizer, std::vector<std::string> strings);
  // Whether the text ends within the last token of `ids` with one of the strings. The token may go on after it.
  bool complete(std::span<const std::int64_t> ids) const;

 private:
  bool complete(std::span<const std::int64_t> ids, const std::string& string) const;
  std::vector<std::string> strings_;
  std::vector<std::string> tokens_;  // by id: the bytes that a token adds to a text
  std::size_t longest_ = 0;
};

}  // namespace capstan::search
