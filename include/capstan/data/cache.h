// A prepared data set: HDF5 shards with a manifest (docs/cache_format.md).
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "capstan/image/processor.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

// What one source gave to a split: its pictures and captions stand side by side.
struct SourceRange {
  std::string description;
  double weight = 1;  // how often its captions are drawn, compared with those of a source of weight 1
  std::int64_t first_image = 0;
  std::int64_t num_images = 0;
  std::int64_t first_caption = 0;
  std::int64_t num_captions = 0;
};

// One split of a cache, open for reading. Every method may be called from several threads.
class Cache {
 public:
  // DataError when the folder is no cache, a shard is missing or cut short, or there is no such split.
  Cache(const std::filesystem::path& directory, const std::string& split);
  ~Cache();

  std::int64_t num_images() const;
  std::int64_t num_captions() const;
  std::int64_t image_size() const;  // height and width of the stored pixels
  // (image, caption) of global caption number `index`, captions of one image side by side.
  std::int64_t image_of_caption(std::int64_t index) const;
  std::int64_t first_caption(std::int64_t image) const;             // first_caption(num_images()) == num_captions()
  std::vector<std::int64_t> token_ids(std::int64_t caption) const;  // without special tokens
  // The first `count` ids into `out`; `count` is at most num_tokens().
  void copy_token_ids(std::int64_t caption, std::int64_t count, std::int64_t* out) const;
  std::int64_t num_tokens(std::int64_t caption) const;
  std::string caption(std::int64_t caption) const;
  std::vector<std::string> captions_of(std::int64_t image) const;
  std::string image_id(std::int64_t image) const;
  std::string image_file(std::int64_t image) const;  // path relative to the source, for people
  // uint8 [H, W, 3] into `out` (contiguous, image_size * image_size * 3 bytes).
  void read_pixels(std::int64_t image, std::uint8_t* out) const;
  // A hint that these pictures will be read next, so that the disk can fetch them all at once.
  void will_read_pixels(const std::vector<std::int64_t>& images) const;
  // Sources that gave something to this split, in order.
  std::vector<SourceRange> sources() const;

  std::shared_ptr<const Tokenizer> tokenizer() const;  // the one the ids were made with
  const ImageProcessorConfig& processor() const;
  static std::vector<std::string> splits(const std::filesystem::path& directory);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
