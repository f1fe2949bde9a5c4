// Files: whole reads, atomic writes, read-only maps and folders that vanish.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace capstan {

namespace fs = std::filesystem;

// The whole file as bytes. DataError when it cannot be read or is larger than `max_bytes`.
std::string read_file(const fs::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 32);

// Writes beside `path`, syncs, then renames: a reader sees the old file or the new one, never half.
void write_file_atomic(const fs::path& path, std::string_view bytes);

// Makes `build` fill a temporary sibling of `directory`, syncs every file and renames it into place.
// When `build` throws, the temporary folder is removed and `directory` is as before.
void write_directory_atomic(const fs::path& directory, const std::function<void(const fs::path&)>& build);

// Creates `directory` if needed; DataError when it already holds files and `allow_existing` is false.
void require_output_directory(const fs::path& directory, bool allow_existing);

// XXH3-128 of the file as "xxh128:<32 hex digits>" (the digits of `xxhsum -H128`).
std::string checksum_file(const fs::path& path);
std::string checksum_bytes(std::string_view bytes);

// A file mapped read-only; unmapped with the last copy of the handle.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);  // DataError when it cannot be mapped
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A fresh folder under the system's temporary folder, removed with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace capstan
