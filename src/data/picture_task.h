// What the workers of prepare do to one picture.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capstan/data/prepare.h"
#include "data/leaks.h"

namespace capstan {

// Pixels or JPEG bytes and ids, or the reason why not.
struct PreparedPicture {
  CaptionedImage image;
  std::int32_t source = 0;
  std::vector<std::uint8_t> payload;
  std::vector<std::vector<std::int64_t>> token_ids;
  ContentHash content_hash{};
  std::optional<std::string> error;
};

class PictureTask {
 public:
  PictureTask(const PrepareConfig& config, const Tokenizer& tokenizer);
  PreparedPicture operator()(Corpus::Record record) const;  // thread-safe

 private:
  void fill(PreparedPicture& picture) const;
  const PrepareConfig& config_;
  const Tokenizer& tokenizer_;
  const ImageProcessor processor_;
};

// The picture's file for messages; of an archive also which member.
std::string file_text(const CaptionedImage& image);

}  // namespace capstan
