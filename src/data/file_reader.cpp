#include "data/file_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capstan/core/error.h"
#include "capstan/core/files.h"

namespace capstan {
namespace {

// A cache of many shards has them all open; the soft limit of 1,024 files is there for select(), which nobody uses.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

FileReader::FileReader(std::filesystem::path path) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0 && errno == EMFILE) {
    raise_file_limit();
    file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (file_ < 0) throw DataError(fmt::format("{}: cannot open for reading: {}", path_.string(), std::strerror(errno)));
}

FileReader::~FileReader() { ::close(file_); }

void FileReader::read(std::span<std::byte> out, std::uint64_t offset) const { read_all(file_, out, offset, path_); }

void FileReader::will_read(std::uint64_t offset, std::uint64_t size) const {
  ::posix_fadvise(file_, static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
}

void read_all(int file, std::span<std::byte> out, std::uint64_t offset, const std::filesystem::path& path) {
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(file, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw DataError(fmt::format("{}: cannot read: {}", path.string(), std::strerror(errno)));
    if (got == 0)
      throw DataError(fmt::format("{}: ends at byte {}, expected {} bytes from {}", path.string(), offset + done,
                                  out.size(), offset));
    done += static_cast<std::size_t>(got);
  }
}

void write_all(int file, std::string_view bytes, const std::filesystem::path& path) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(file, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throw DataError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
}

std::string read_part(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t size,
                      std::uint64_t max_bytes) {
  if (size == 0) return read_file(path, max_bytes);
  if (size > max_bytes)
    throw DataError(fmt::format("{}: has {} bytes, expected at most {}", path.string(), size, max_bytes));
  std::string bytes(size, '\0');
  FileReader(path).read(std::as_writable_bytes(std::span(bytes)), offset);
  return bytes;
}

}  // namespace capstan
