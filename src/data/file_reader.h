// Parts of a file, read where they are wanted without moving a shared position: any number of threads may do it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace capstan {

class FileReader {
 public:
  explicit FileReader(std::filesystem::path path);  // DataError when it cannot be opened
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  // Fills `out` with the bytes from `offset`. DataError when they are not there or the disk fails.
  void read(std::span<std::byte> out, std::uint64_t offset) const;
  // Tells the system that these bytes will be read soon, so that it can fetch many parts at once.
  void will_read(std::uint64_t offset, std::uint64_t size) const;

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

// The loops behind it, for files that are open already; `path` is for messages.
void read_all(int file, std::span<std::byte> out, std::uint64_t offset, const std::filesystem::path& path);
void write_all(int file, std::string_view bytes, const std::filesystem::path& path);

// `size` bytes of `path` from `offset`; size 0: the whole file. DataError also when there are more than `max_bytes`.
std::string read_part(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t size,
                      std::uint64_t max_bytes);

}  // namespace capstan
