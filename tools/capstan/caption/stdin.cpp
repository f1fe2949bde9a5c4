#include "caption/stdin.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace capstan::cli {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr std::size_t kMostLine = 64 << 10;
constexpr int kPollMilliseconds = 100;  // between two questions whether more is wanted

// '?' stands for any byte.
constexpr std::array<std::string_view, 7> kFirstBytes{
    "\xff\xd8\xff",
    "\x89PNG",
    "GIF8",
    "RIFF????WEBP",
    std::string_view("BM????\0\0\0\0", 10),  // a file name may begin with BM, but has no zero bytes
    std::string_view("II*\0", 4),
    std::string_view("MM\0*", 4),
};

bool agrees(std::string_view bytes, std::string_view pattern) {
  for (std::size_t i = 0; i < std::min(bytes.size(), pattern.size()); ++i)
    if (pattern[i] != '?' && pattern[i] != bytes[i]) return false;
  return true;
}

}  // namespace

bool StdinReader::read_more() {
  pollfd ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (wanted_()) {
    const int count = ::poll(&ready, 1, kPollMilliseconds);
    if (count == 0 || (count < 0 && errno == EINTR)) continue;
    std::array<char, 64 << 10> bytes;
    const ssize_t size = count < 0 ? -1 : ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) error_ = fmt::format("standard input: cannot be read: {}", std::strerror(errno));
    if (size > 0) {
      if (begin_ > 0) buffer_.erase(0, begin_);
      begin_ = 0;
      buffer_.append(bytes.data(), static_cast<std::size_t>(size));
    }
    return size > 0;
  }
  return false;
}

bool StdinReader::begins_as_picture() {
  for (;;) {
    bool open = false;
    for (const std::string_view pattern : kFirstBytes) {
      const bool complete = buffer_.size() >= pattern.size();
      if (!agrees(buffer_, pattern)) continue;
      if (complete) return true;
      open = true;
    }
    if (!open || !read_more()) return false;
  }
}

std::string StdinReader::rest(std::string& error) {
  while (buffer_.size() <= kMostBytes && read_more()) {
  }
  error = error_;
  if (buffer_.size() > kMostBytes) error = "standard input: larger than 1 GiB, expected a picture";
  if (error.empty() && buffer_.empty()) error = "standard input: empty, expected a picture";
  return std::move(buffer_);
}

std::optional<std::string> StdinReader::line(std::string& error) {
  std::size_t end = buffer_.find('\n', begin_);
  while (end == std::string::npos) {
    if (buffer_.size() - begin_ > kMostLine) {
      error = "standard input: a line of more than 64 KiB; expected a list of files, one a line";
      return std::nullopt;
    }
    const std::size_t known = buffer_.size() - begin_;
    if (!read_more()) break;
    end = buffer_.find('\n', known);
  }
  error = error_;
  if (end == std::string::npos) {
    if (begin_ >= buffer_.size() || !wanted_() || !error.empty()) return std::nullopt;
    end = buffer_.size();  // the last line has no end
  }
  std::string text = buffer_.substr(begin_, end - begin_);
  begin_ = std::min(end + 1, buffer_.size());
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace capstan::cli
