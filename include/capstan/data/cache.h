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
  std::int64_t num_tokens(std::int64_t caption) const;
  std::string caption(std::int64_t caption) const;
  std::vector<std::string> captions_of(std::int64_t image) const;
  std::string image_id(std::int64_t image) const;
  std::string image_file(std::int64_t image) const;  // path relative to the source, for people
  // uint8 [H, W, 3] into `out` (contiguous, image_size * image_size * 3 bytes).
  void read_pixels(std::int64_t image, std::uint8_t* out) const;

  std::shared_ptr<const Tokenizer> tokenizer() const;  // the one the ids were made with
  const ImageProcessorConfig& processor() const;
  static std::vector<std::string> splits(const std::filesystem::path& directory);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace capstan
