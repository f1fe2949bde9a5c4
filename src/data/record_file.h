// Records of bytes on disk instead of in memory, in a file that vanishes with the process.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace capstan {

inline constexpr const char* kRecordFilePrefix = ".records-";  // where a file must have a name for a moment

class RecordFile {
 public:
  // Makes a nameless file in `folder`. DataError when that is not possible.
  explicit RecordFile(const std::filesystem::path& folder);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  // The place by which read() finds the record again. DataError when the disk is full.
  std::uint64_t append(std::string_view record);
  // Ends appending; from now on read() may be called, by several threads.
  void finish();
  std::string read(std::uint64_t place) const;

 private:
  void flush();
  std::filesystem::path folder_;
  int file_ = -1;
  std::uint64_t size_ = 0;  // bytes given to append()
  std::string buffer_;
};

}  // namespace capstan
