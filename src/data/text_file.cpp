#include "data/text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "capstan/core/error.h"

namespace capstan {

namespace fs = std::filesystem;

TextFile::TextFile(fs::path path) : path_(std::move(path)) {
  if (fs::is_directory(path_)) throw DataError(fmt::format("{}: is a folder, expected a file", path_.string()));
  file_.open(path_, std::ios::binary);
  if (!file_) throw DataError(fmt::format("{}: cannot open for reading: {}", path_.string(), std::strerror(errno)));
  check_beginning();
}

void TextFile::check_beginning() {
  fill();
  const std::string_view start(buffer_.data(), filled_);
  if (start.starts_with("\xEF\xBB\xBF")) next_ = 3;
  if (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF"))
    throw DataError(
        fmt::format("{0}: is UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 {0} > NEW", path_.string()));
}

bool TextFile::fill() {
  buffer_start_ += filled_;
  next_ = filled_ = 0;
  file_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  if (file_.bad()) throw DataError(fmt::format("{}: cannot read: {}", path_.string(), std::strerror(errno)));
  filled_ = static_cast<std::size_t>(file_.gcount());
  return filled_ > 0;
}

void TextFile::seek(std::uint64_t offset) {
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(offset));
  buffer_start_ = offset;
  next_ = filled_ = 0;
}

TextFile::Line TextFile::next_line(std::string& line) {
  line.clear();
  if (peek() == kEnd) return Line::kEnd;
  ++line_number_;
  bool too_long = false;
  while (peek() != kEnd) {
    const char* const start = buffer_.data() + next_;
    const auto* const end = static_cast<const char*>(std::memchr(start, '\n', filled_ - next_));
    const std::size_t size = end == nullptr ? filled_ - next_ : static_cast<std::size_t>(end - start);
    too_long = too_long || line.size() + size > kMaxLine;
    if (too_long)
      line.clear();
    else
      line.append(start, size);
    next_ += size;
    if (end == nullptr) continue;
    ++next_;
    break;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return too_long ? Line::kTooLong : Line::kLine;
}

std::string TextFile::place() const { return place(line_number_); }

std::string TextFile::place(std::int64_t line_number) const {
  return fmt::format("{}:{}", path_.string(), line_number);
}

}  // namespace capstan
