#include "data/record_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capstan/core/error.h"
#include "data/file_reader.h"

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
  write_all(file_, buffer_, folder_ / "a temporary file");
  buffer_.clear();
}

std::string RecordFile::read(std::uint64_t place) const {
  const auto fill = [&](std::span<std::byte> out, std::uint64_t offset) {
    read_all(file_, out, offset, folder_ / "a temporary file");
  };
  std::uint64_t length = 0;
  fill(std::as_writable_bytes(std::span(&length, 1)), place);
  std::string record(length, '\0');
  fill(std::as_writable_bytes(std::span(record)), place + sizeof length);
  return record;
}

}  // namespace capstan
