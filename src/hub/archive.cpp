#include "hub/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/progress.h"
#include "capstan/hub/cache.h"
#include "capstan/hub/names.h"
#include "hub/part_file.h"
#include "hub/retry.h"

namespace capstan::hub {
namespace {

// A zip file read from its first entry to its last.
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path), handle_(archive_read_new()) {
    CAPSTAN_ASSERT(handle_ != nullptr);
    archive_read_support_format_zip(handle_.get());
    if (archive_read_open_filename(handle_.get(), path.c_str(), std::size_t{1} << 20) != ARCHIVE_OK) fail();
  }
  // Null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(handle_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail();
    return entry;
  }
  std::size_t read(std::vector<char>& buffer) {
    const la_ssize_t got = archive_read_data(handle_.get(), buffer.data(), buffer.size());
    if (got < 0) fail();
    return static_cast<std::size_t>(got);
  }

 private:
  struct Free {
    void operator()(struct archive* handle) const { archive_read_free(handle); }
  };
  [[noreturn]] void fail() {
    const char* const why = archive_error_string(handle_.get());
    throw DataError(fmt::format("{}: cannot be unpacked: {}; remove it and fetch it again", path_.string(),
                                printable(why == nullptr ? "it is no zip file" : why)));
  }
  fs::path path_;
  std::unique_ptr<struct archive, Free> handle_;
};

// The name of an entry to unpack, or "" for one to leave out: folders, what the pattern does not match, and the
// resource forks that macOS puts into its archives.
std::string wanted_name(archive_entry* entry, const std::string& pattern, const fs::path& archive) {
  const char* const raw = archive_entry_pathname(entry);
  std::string name = raw == nullptr ? "" : raw;
  if (name.ends_with('/')) name.pop_back();
  check_file_name(name, archive.string());
  const auto type = archive_entry_filetype(entry);
  if (type == AE_IFDIR || name.starts_with("__MACOSX/") || name.ends_with(".DS_Store")) return "";
  if (type != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
    throw DataError(
        fmt::format("{}: '{}' is a link or device; expected files and folders", archive.string(), printable(name)));
  return pattern.empty() || matches_any(name, {&pattern, 1}) ? name : "";
}

void write_all(int fd, const char* data, std::size_t size, const fs::path& path) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t wrote = ::write(fd, data + done, size - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throw DataError(fmt::format("{}: cannot write: {}", path.string(), std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
}

void unpack_file(Reader& reader, const fs::path& file, std::uint64_t size, std::vector<char>& buffer) {
  const fs::path part = PartFile::part_of(file);
  make_folder(file.parent_path());
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) throw DataError(fmt::format("{}: cannot open for writing: {}", part.string(), std::strerror(errno)));
  std::uint64_t written = 0;
  try {
    while (const std::size_t got = reader.read(buffer)) {
      throw_if_stopped();
      written += got;
      if (written > size) break;
      write_all(fd, buffer.data(), got, part);
    }
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
  if (written != size)
    throw DataError(fmt::format("{}: has {} bytes in the archive, expected {}", file.string(), written, size));
  if (std::rename(part.c_str(), file.c_str()) != 0)
    throw DataError(fmt::format("{}: cannot rename into place: {}", part.string(), std::strerror(errno)));
}

std::uint64_t size_of(archive_entry* entry, const fs::path& archive, const std::string& name) {
  if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
    throw DataError(
        fmt::format("{}: '{}' has no size; remove the archive and fetch it again", archive.string(), printable(name)));
  return static_cast<std::uint64_t>(archive_entry_size(entry));
}

bool is_there(const fs::path& file, std::uint64_t size) {
  std::error_code error;
  return fs::is_regular_file(file, error) && fs::file_size(file, error) == size && !error;
}

}  // namespace

Unpacked unpack(const fs::path& archive, const fs::path& folder, const std::string& pattern) {
  std::uint64_t missing = 0, count = 0;
  for (Reader reader(archive); archive_entry* const entry = reader.next();) {
    const std::string name = wanted_name(entry, pattern, archive);
    if (name.empty()) continue;
    ++count;
    const std::uint64_t size = size_of(entry, archive, name);
    if (!is_there(folder / name, size)) missing += size;
  }
  require_space(folder, missing);
  Progress progress("unpack " + archive.filename().string(), static_cast<std::int64_t>(count), "files");
  Unpacked unpacked;
  std::vector<char> buffer(std::size_t{1} << 20);
  for (Reader reader(archive); archive_entry* const entry = reader.next();) {
    const std::string name = wanted_name(entry, pattern, archive);
    if (name.empty()) continue;
    throw_if_stopped();
    const std::uint64_t size = size_of(entry, archive, name);
    if (is_there(folder / name, size))
      ++unpacked.kept;
    else
      unpack_file(reader, folder / name, size, buffer);
    ++unpacked.files;
    unpacked.bytes += size;
    progress.advance(1);
  }
  return unpacked;
}

}  // namespace capstan::hub
