// One shard file (docs/cache_format.md): some pictures of one split with all their captions.
// ShardWriter writes it once; Shard maps it, checks every offset, and then reads without copies or locks.
#pragma once
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/files.h"
#include "data/file_reader.h"
#include "data/hdf5.h"

namespace capstan {

inline constexpr std::int64_t kShardFormatVersion = 2;

inline constexpr std::size_t kContentHashBytes = 16;

// The same for every shard of a cache, kept as attributes.
struct ShardHeader {
  std::string split;
  std::string store;      // "raw" or "jpeg"
  std::string tokenizer;  // fingerprint of the tokenizer's files
  std::int64_t image_size = 0;
};

// One picture as it goes in.
struct ShardImage {
  std::string_view image_id;
  std::string_view image_file;
  std::int32_t source = 0;                     // which of the manifest's sources
  std::span<const std::uint8_t> content_hash;  // kContentHashBytes: XXH3-128 of the picture's file
  std::span<const std::uint8_t> payload;       // raw: size * size * 3 grey levels; jpeg: a JPEG file
  std::span<const std::string> captions;
  std::span<const std::vector<std::int64_t>> token_ids;  // one list per caption
};

// Writes beside the final path and renames in finish(); without finish() nothing stays behind.
class ShardWriter {
 public:
  // `capacity`: the most pictures that add() will bring.
  ShardWriter(std::filesystem::path path, ShardHeader header, std::int64_t capacity);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  void add(const ShardImage& image);
  void finish();
  std::int64_t num_images() const;
  std::int64_t num_captions() const;
  std::int64_t num_tokens() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Little-endian numbers at any address of a mapped file.
template <class T>
class PackedArray {
 public:
  PackedArray() = default;
  PackedArray(const std::byte* data, std::int64_t size) : data_(data), size_(size) {}
  std::int64_t size() const { return size_; }
  T operator[](std::int64_t index) const {
    T value;
    std::memcpy(&value, data_ + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
    return value;
  }

 private:
  const std::byte* data_ = nullptr;
  std::int64_t size_ = 0;
};

// Rows of different length laid end to end: row i is [offsets[i], offsets[i + 1]).
struct RaggedBytes {
  std::span<const std::byte> bytes;
  PackedArray<std::int64_t> offsets;
  std::span<const std::byte> operator[](std::int64_t row) const;
};

class Shard {
 public:
  // `expected_bytes`: the file's size by the manifest. DataError when the file is cut short, is no shard, or an
  // offset in it points outside.
  explicit Shard(const std::filesystem::path& path, std::optional<std::uint64_t> expected_bytes = std::nullopt);

  const std::filesystem::path& path() const { return file_->path(); }
  const ShardHeader& header() const { return header_; }
  std::int64_t num_images() const { return caption_offsets_.size() - 1; }
  std::int64_t num_captions() const { return token_offsets_.size() - 1; }
  std::int64_t num_tokens() const { return token_ids_.size(); }
  std::uint64_t bytes() const { return file_->bytes().size(); }

  // Indices count within the shard and must be in range.
  // store raw: image_size * image_size * 3 bytes into `out`. The file is read, not mapped: mapped pages would count
  // as memory of the process, and a disk that fails would end it. DataError when the bytes cannot be read.
  void read_pixels(std::int64_t image, std::uint8_t* out) const;
  void will_read_pixels(std::int64_t image) const;
  std::span<const std::byte> jpeg(std::int64_t image) const;  // store jpeg
  std::int64_t first_caption(std::int64_t image) const { return caption_offsets_[image]; }
  std::int64_t image_of_caption(std::int64_t caption) const;
  std::int64_t num_tokens_of(std::int64_t caption) const {
    return token_offsets_[caption + 1] - token_offsets_[caption];
  }
  void copy_token_ids(std::int64_t caption, std::int64_t count, std::int64_t* out) const;  // the first `count`
  std::string caption(std::int64_t caption) const;
  std::string image_id(std::int64_t image) const;
  std::string image_file(std::int64_t image) const;
  std::int32_t source(std::int64_t image) const { return source_[image]; }
  std::span<const std::byte> content_hash(std::int64_t image) const;  // kContentHashBytes

 private:
  std::size_t pixel_bytes() const;

  std::unique_ptr<MappedFile> file_;
  std::unique_ptr<FileReader> reader_;  // of pixels
  ShardHeader header_;
  std::uint64_t pixels_offset_ = 0;  // in the file
  std::span<const std::byte> content_hash_;
  RaggedBytes jpeg_, caption_text_, image_id_, image_file_;
  PackedArray<std::int64_t> caption_offsets_, token_offsets_;
  PackedArray<std::int32_t> token_ids_, source_;
};

}  // namespace capstan
