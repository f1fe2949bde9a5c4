// Text files byte by byte or line by line, without ever holding more than one line.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace capstan {

// A byte-order mark of UTF-8 is passed over. DataError when the file cannot be read or is UTF-16.
class TextFile {
 public:
  static constexpr int kEnd = -1;
  static constexpr std::size_t kMaxLine = std::size_t{1} << 24;

  explicit TextFile(std::filesystem::path path);

  int get() {
    if (next_ == filled_ && !fill()) return kEnd;
    return static_cast<unsigned char>(buffer_[next_++]);
  }
  int peek() {
    if (next_ == filled_ && !fill()) return kEnd;
    return static_cast<unsigned char>(buffer_[next_]);
  }
  std::uint64_t offset() const { return buffer_start_ + next_; }
  void seek(std::uint64_t offset);

  enum class Line { kLine, kTooLong, kEnd };
  // The next line without its end (LF or CR LF). Of a line of more than kMaxLine bytes, nothing is kept.
  Line next_line(std::string& line);
  std::int64_t line_number() const { return line_number_; }  // of the line read last, from 1
  std::string place() const;                                 // "captions.txt:12"
  std::string place(std::int64_t line_number) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  bool fill();
  void check_beginning();

  std::filesystem::path path_;
  std::ifstream file_;
  std::array<char, 1 << 16> buffer_;
  std::size_t next_ = 0, filled_ = 0;
  std::uint64_t buffer_start_ = 0;
  std::int64_t line_number_ = 0;
};

}  // namespace capstan
