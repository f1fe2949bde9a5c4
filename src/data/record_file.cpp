#include "data/record_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

}  // namespace

RecordFile::RecordFile(const std::filesystem::path& folder) : folder_(folder) {
  file_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return;
  std::string name = (folder / fmt::format("{}XXXXXX", kRecordFilePrefix)).string();  // not every file system can
  file_ = ::mkstemp(name.data());
  if (file_ < 0)
    throw DataError(fmt::format("{}: cannot make a temporary file: {}", folder.string(), std::strerror(errno)));
  ::unlink(name.c_str());
}

RecordFile::~RecordFile() { ::close(file_); }

std::uint64_t RecordFile::append(std::string_view record) {
  const std::uint64_t place = size_;
  const auto length = static_cast<std::uint64_t>(record.size());
  buffer_.append(reinterpret_cast<const char*>(&length), sizeof length);
  buffer_.append(record);
  size_ += sizeof length + record.size();
  if (buffer_.size() >= kBufferBytes) flush();
  return place;
}

void RecordFile::finish() { flush(); }

void RecordFile::flush() {
  for (std::size_t done = 0; done < buffer_.size();) {
    const ssize_t wrote = ::write(file_, buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0)
      throw DataError(fmt::format("{}: cannot write a temporary file: {}", folder_.string(), std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
  buffer_.clear();
}

std::string RecordFile::read(std::uint64_t place) const {
  const auto read_at = [&](void* out, std::size_t bytes, std::uint64_t offset) {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t got =
          ::pread(file_, static_cast<char*>(out) + done, bytes - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        throw DataError(fmt::format("{}: cannot read a temporary file: {}", folder_.string(), std::strerror(errno)));
      done += static_cast<std::size_t>(got);
    }
  };
  std::uint64_t length = 0;
  read_at(&length, sizeof length, place);
  std::string record(length, '\0');
  read_at(record.data(), record.size(), place + sizeof length);
  return record;
}

}  // namespace capstan
