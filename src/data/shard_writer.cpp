// Writing a shard. Raw pixels go straight into their place in the file; everything else is small and waits in memory,
// except JPEG bytes, whose total is known only at the end and which wait in a file beside.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "capstan/core/error.h"
#include "data/shard.h"

namespace capstan {
namespace {

using hdf5::Type;

// Rows of bytes laid end to end, with the offsets that part them.
struct ByteRows {
  std::string bytes;
  std::vector<std::int64_t> offsets{0};
  void add(std::string_view row) {
    bytes += row;
    offsets.push_back(static_cast<std::int64_t>(bytes.size()));
  }
};

template <class T>
void write_numbers(hdf5::Writer& file, const std::string& name, Type type, const std::vector<T>& numbers) {
  file.write(name, type, {numbers.size()}, numbers.data());
}

void write_rows_of_bytes(hdf5::Writer& file, const std::string& name, const ByteRows& rows) {
  file.write(name, Type::kUint8, {rows.bytes.size()}, rows.bytes.data());
  write_numbers(file, name + "_offsets", Type::kInt64, rows.offsets);
}

void sync_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int reason = errno;
  if (fd >= 0) ::close(fd);
  if (!synced)
    throw DataError(fmt::format("{}: cannot sync the shard to disk: {}", path.string(), std::strerror(reason)));
}

fs::path beside(const fs::path& path, const char* ending) {
  return path.parent_path() / fmt::format(".{}{}", path.filename().string(), ending);
}

}  // namespace

struct ShardWriter::Impl {
  fs::path path, temporary, spool_path;
  ShardHeader header;
  std::int64_t capacity = 0, images = 0;
  std::unique_ptr<hdf5::Writer> file;
  std::ofstream spool;  // JPEG bytes
  std::vector<std::int64_t> jpeg_offsets{0}, caption_offsets{0}, token_offsets{0};
  std::vector<std::int32_t> token_ids, source;
  std::vector<std::uint8_t> content_hash;
  ByteRows caption_text, image_id, image_file;

  bool raw() const { return header.store == "raw"; }

  [[noreturn]] void fail_to_write() const {
    throw DataError(fmt::format("{}: cannot write: {}", spool_path.string(), std::strerror(errno)));
  }

  std::vector<std::uint64_t> pixel_shape(std::int64_t rows) const {
    const auto size = static_cast<std::uint64_t>(header.image_size);
    return {static_cast<std::uint64_t>(rows), size, size, 3};
  }

  void open() {
    file = std::make_unique<hdf5::Writer>(temporary);
    if (raw()) {
      file->reserve("pixels", Type::kUint8, pixel_shape(capacity));
    } else {
      spool.open(spool_path, std::ios::binary | std::ios::trunc);
    }
  }

  void add_payload(std::span<const std::uint8_t> payload) {
    if (raw()) {
      CAPSTAN_ASSERT(static_cast<std::int64_t>(payload.size()) == header.image_size * header.image_size * 3);
      file->write_rows("pixels", static_cast<std::uint64_t>(images), 1, payload.data());
      return;
    }
    spool.write(reinterpret_cast<const char*>(payload.data()), static_cast<std::streamsize>(payload.size()));
    if (!spool) fail_to_write();
    jpeg_offsets.push_back(jpeg_offsets.back() + static_cast<std::int64_t>(payload.size()));
  }

  // Pictures were dropped after the space was taken: write the file anew with as many rows as there are, so that
  // it is the same file that would have come from the good pictures alone.
  void shrink() {
    const std::uint64_t offset = file->offset("pixels");
    file->close();
    fs::rename(temporary, spool_path);
    const MappedFile full(spool_path);
    file = std::make_unique<hdf5::Writer>(temporary);
    file->write("pixels", Type::kUint8, pixel_shape(images), full.bytes().data() + offset);
  }

  void write_jpegs() {
    spool.close();
    if (!spool) fail_to_write();
    const MappedFile bytes(spool_path);
    file->write("jpeg", Type::kUint8, {bytes.bytes().size()}, bytes.bytes().data());
    write_numbers(*file, "jpeg_offsets", Type::kInt64, jpeg_offsets);
  }

  void write_texts() {
    write_numbers(*file, "caption_offsets", Type::kInt64, caption_offsets);
    write_numbers(*file, "token_ids", Type::kInt32, token_ids);
    write_numbers(*file, "token_offsets", Type::kInt64, token_offsets);
    write_rows_of_bytes(*file, "caption_text", caption_text);
    write_rows_of_bytes(*file, "image_id", image_id);
    write_rows_of_bytes(*file, "image_file", image_file);
    file->write("content_hash", Type::kUint8, {static_cast<std::uint64_t>(images), kContentHashBytes},
                content_hash.data());
    write_numbers(*file, "source", Type::kInt32, source);
    file->attribute("format", std::string("capstan-shard"));
    file->attribute("format_version", kShardFormatVersion);
    file->attribute("split", header.split);
    file->attribute("store", header.store);
    file->attribute("image_size", header.image_size);
    file->attribute("tokenizer", header.tokenizer);
  }

  void remove_temporaries() {
    std::error_code ignored;
    file.reset();
    fs::remove(temporary, ignored);
    fs::remove(spool_path, ignored);
  }
};

ShardWriter::ShardWriter(fs::path path, ShardHeader header, std::int64_t capacity) : impl_(std::make_unique<Impl>()) {
  CAPSTAN_ASSERT(capacity > 0);
  impl_->temporary = beside(path, ".tmp");
  impl_->spool_path = beside(path, ".spool");
  impl_->path = std::move(path);
  impl_->header = std::move(header);
  impl_->capacity = capacity;
  impl_->open();
}

ShardWriter::~ShardWriter() { impl_->remove_temporaries(); }

void ShardWriter::add(const ShardImage& image) {
  Impl& impl = *impl_;
  CAPSTAN_ASSERT(impl.images < impl.capacity && image.captions.size() == image.token_ids.size());
  impl.add_payload(image.payload);
  impl.image_id.add(image.image_id);
  impl.image_file.add(image.image_file);
  impl.source.push_back(image.source);
  CAPSTAN_ASSERT(image.content_hash.size() == kContentHashBytes);
  impl.content_hash.insert(impl.content_hash.end(), image.content_hash.begin(), image.content_hash.end());
  for (std::size_t i = 0; i < image.captions.size(); ++i) {
    impl.caption_text.add(image.captions[i]);
    for (const std::int64_t id : image.token_ids[i]) impl.token_ids.push_back(static_cast<std::int32_t>(id));
    impl.token_offsets.push_back(static_cast<std::int64_t>(impl.token_ids.size()));
  }
  impl.caption_offsets.push_back(static_cast<std::int64_t>(impl.token_offsets.size()) - 1);
  ++impl.images;
}

void ShardWriter::finish() {
  Impl& impl = *impl_;
  if (impl.raw() && impl.images < impl.capacity) impl.shrink();
  if (!impl.raw()) impl.write_jpegs();
  impl.write_texts();
  impl.file->close();
  impl.file.reset();
  sync_file(impl.temporary);
  fs::rename(impl.temporary, impl.path);
}

std::int64_t ShardWriter::num_images() const { return impl_->images; }
std::int64_t ShardWriter::num_captions() const { return static_cast<std::int64_t>(impl_->token_offsets.size()) - 1; }
std::int64_t ShardWriter::num_tokens() const { return static_cast<std::int64_t>(impl_->token_ids.size()); }

}  // namespace capstan
