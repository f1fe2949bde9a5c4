// Opening a shard: everything that later reads trust is checked here, once.
#include "data/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "capstan/core/error.h"

namespace capstan {
namespace {

static_assert(std::endian::native == std::endian::little, "shards are little-endian and read in place");

constexpr std::int64_t kMaxImageSize = 1 << 16;

const std::array<std::string, 14> kDatasets = {"pixels",       "jpeg",
                                               "jpeg_offsets", "caption_offsets",
                                               "token_ids",    "token_offsets",
                                               "image_id",     "image_id_offsets",
                                               "image_file",   "image_file_offsets",
                                               "caption_text", "caption_text_offsets",
                                               "content_hash", "source"};

// Looks datasets up by name and lends the mapped bytes under them.
class Layout {
 public:
  explicit Layout(const MappedFile& file) : file_(file), contents_(hdf5::read_contents(file.path(), kDatasets)) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{}: damaged shard: {}; run prepare again", file_.path().string(), what));
  }

  std::string text(const std::string& name) const {
    const auto found = contents_.texts.find(name);
    if (found == contents_.texts.end()) fail("no attribute '" + name + "'");
    return found->second;
  }

  std::int64_t number(const std::string& name) const {
    const auto found = contents_.numbers.find(name);
    if (found == contents_.numbers.end()) fail("no attribute '" + name + "'");
    return found->second;
  }

  const hdf5::Place& place(const std::string& name, hdf5::Type type, std::size_t rank) const {
    const auto found = contents_.datasets.find(name);
    if (found == contents_.datasets.end()) fail("no dataset '" + name + "'");
    if (found->second.type != type || found->second.shape.size() != rank)
      fail("'" + name + "' has another type or number of dimensions");
    return found->second;
  }

  // The map may be shorter than the file that HDF5 saw if it is being changed, hence the second check.
  std::span<const std::byte> bytes(const hdf5::Place& where, const std::string& name) const {
    const auto all = file_.bytes();
    if (where.offset > all.size() || where.bytes > all.size() - where.offset) fail("'" + name + "' is cut short");
    return all.subspan(where.offset, where.bytes);
  }

  std::span<const std::byte> byte_array(const std::string& name) const {
    return bytes(place(name, hdf5::Type::kUint8, 1), name);
  }

  template <class T>
  PackedArray<T> numbers(const std::string& name) const {
    const hdf5::Type type = sizeof(T) == 8 ? hdf5::Type::kInt64 : hdf5::Type::kInt32;
    const auto span = bytes(place(name, type, 1), name);
    return {span.data(), static_cast<std::int64_t>(span.size() / sizeof(T))};
  }

  // `rows` + 1 numbers that start at 0, never fall, and end at `end`. rows < 0: any number of rows.
  PackedArray<std::int64_t> offsets(const std::string& name, std::int64_t rows, std::int64_t end) const {
    const auto result = numbers<std::int64_t>(name);
    if (result.size() < 1 || (rows >= 0 && result.size() != rows + 1))
      fail(fmt::format("'{}' has {} entries, expected {}", name, result.size(), rows + 1));
    if (result[0] != 0) fail(fmt::format("'{}' begins at {}, expected 0", name, result[0]));
    for (std::int64_t i = 1; i < result.size(); ++i)
      if (result[i] < result[i - 1]) fail(fmt::format("'{}' falls at entry {}", name, i));
    if (result[result.size() - 1] != end)
      fail(fmt::format("'{}' ends at {}, expected {}", name, result[result.size() - 1], end));
    return result;
  }

  RaggedBytes ragged(const std::string& name, std::int64_t rows) const {
    RaggedBytes result;
    result.bytes = byte_array(name);
    result.offsets = offsets(name + "_offsets", rows, static_cast<std::int64_t>(result.bytes.size()));
    return result;
  }

 private:
  const MappedFile& file_;
  hdf5::Contents contents_;
};

std::unique_ptr<MappedFile> map_shard(const std::filesystem::path& path, std::optional<std::uint64_t> expected_bytes) {
  if (!std::filesystem::exists(path))
    throw DataError(
        fmt::format("{}: the shard is missing; copy the whole folder, or run prepare again", path.string()));
  auto file = std::make_unique<MappedFile>(path);
  if (expected_bytes && file->bytes().size() != *expected_bytes)
    throw DataError(fmt::format("{}: found {} bytes, expected {} by manifest.json: the shard is {}; run prepare again",
                                path.string(), file->bytes().size(), *expected_bytes,
                                file->bytes().size() < *expected_bytes ? "cut short" : "another one"));
  return file;
}

ShardHeader read_header(const Layout& layout) {
  if (layout.text("format") != "capstan-shard") layout.fail("the attribute 'format' is not 'capstan-shard'");
  const std::int64_t version = layout.number("format_version");
  if (version != kShardFormatVersion)
    layout.fail(fmt::format("format version {}, this program reads version {}", version, kShardFormatVersion));
  ShardHeader header{.split = layout.text("split"),
                     .store = layout.text("store"),
                     .tokenizer = layout.text("tokenizer"),
                     .image_size = layout.number("image_size")};
  if (header.store != "raw" && header.store != "jpeg")
    layout.fail("store '" + header.store + "' is neither raw nor jpeg");
  if (header.image_size < 1 || header.image_size > kMaxImageSize)
    layout.fail(fmt::format("image_size {} is not between 1 and {}", header.image_size, kMaxImageSize));
  return header;
}

std::string to_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::span<const std::byte> RaggedBytes::operator[](std::int64_t row) const {
  const std::int64_t first = offsets[row];
  return bytes.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(offsets[row + 1] - first));
}

Shard::Shard(const std::filesystem::path& path, std::optional<std::uint64_t> expected_bytes)
    : file_(map_shard(path, expected_bytes)) {
  const Layout layout(*file_);
  header_ = read_header(layout);
  token_ids_ = layout.numbers<std::int32_t>("token_ids");
  token_offsets_ = layout.offsets("token_offsets", -1, token_ids_.size());
  caption_offsets_ = layout.offsets("caption_offsets", -1, num_captions());
  const std::int64_t images = num_images();
  caption_text_ = layout.ragged("caption_text", num_captions());
  image_id_ = layout.ragged("image_id", images);
  image_file_ = layout.ragged("image_file", images);
  source_ = layout.numbers<std::int32_t>("source");
  if (source_.size() != images)
    layout.fail(fmt::format("'source' has {} entries, expected {}", source_.size(), images));
  const auto& hashes = layout.place("content_hash", hdf5::Type::kUint8, 2);
  if (hashes.shape != std::vector<std::uint64_t>{static_cast<std::uint64_t>(images), kContentHashBytes})
    layout.fail(fmt::format("'content_hash' has another shape than [{}, {}]", images, kContentHashBytes));
  content_hash_ = layout.bytes(hashes, "content_hash");
  if (header_.store == "jpeg") {
    jpeg_ = layout.ragged("jpeg", images);
    return;
  }
  const auto& pixels = layout.place("pixels", hdf5::Type::kUint8, 4);
  const auto size = static_cast<std::uint64_t>(header_.image_size);
  if (pixels.shape != std::vector<std::uint64_t>{static_cast<std::uint64_t>(images), size, size, 3})
    layout.fail(fmt::format("'pixels' has another shape than [{}, {}, {}, 3]", images, size, size));
  layout.bytes(pixels, "pixels");  // they lie within the file
  pixels_offset_ = pixels.offset;
  reader_ = std::make_unique<FileReader>(path);
}

void Shard::read_pixels(std::int64_t image, std::uint8_t* out) const {
  CAPSTAN_ASSERT(header_.store == "raw" && image >= 0 && image < num_images());
  const auto bytes = pixel_bytes();
  reader_->read({reinterpret_cast<std::byte*>(out), bytes}, pixels_offset_ + static_cast<std::uint64_t>(image) * bytes);
}

void Shard::will_read_pixels(std::int64_t image) const {
  reader_->will_read(pixels_offset_ + static_cast<std::uint64_t>(image) * pixel_bytes(), pixel_bytes());
}

std::size_t Shard::pixel_bytes() const { return static_cast<std::size_t>(header_.image_size * header_.image_size * 3); }

std::span<const std::byte> Shard::content_hash(std::int64_t image) const {
  return content_hash_.subspan(static_cast<std::size_t>(image) * kContentHashBytes, kContentHashBytes);
}

std::span<const std::byte> Shard::jpeg(std::int64_t image) const {
  CAPSTAN_ASSERT(header_.store == "jpeg" && image >= 0 && image < num_images());
  return jpeg_[image];
}

std::int64_t Shard::image_of_caption(std::int64_t caption) const {
  std::int64_t low = 0, high = num_images();  // first image whose captions end after `caption`
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (caption_offsets_[middle + 1] > caption) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void Shard::copy_token_ids(std::int64_t caption, std::int64_t count, std::int64_t* out) const {
  const std::int64_t first = token_offsets_[caption];
  for (std::int64_t i = 0; i < count; ++i) out[i] = token_ids_[first + i];
}

std::string Shard::caption(std::int64_t caption) const { return to_text(caption_text_[caption]); }
std::string Shard::image_id(std::int64_t image) const { return to_text(image_id_[image]); }
std::string Shard::image_file(std::int64_t image) const { return to_text(image_file_[image]); }

}  // namespace capstan
