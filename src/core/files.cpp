#include "capstan/core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "capstan/core/error.h"

namespace capstan {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

[[noreturn]] void fail(const fs::path& path, std::string_view action) {
  throw DataError(fmt::format("{}: cannot {}: {}", path.string(), action, std::strerror(errno)));
}

void sync_path(const fs::path& path, int flags) {
  const Descriptor file(::open(path.c_str(), flags));
  // Some file systems cannot sync folders (EINVAL); the rename is still atomic there.
  if (file.ok() && ::fsync(file.get()) != 0 && errno != EINVAL) fail(path, "sync to disk");
}

// Everything below `directory`. Thousands of small files cost seconds one by one, so those are synced with the whole
// file system in one call.
void sync_tree(const fs::path& directory) {
  constexpr std::size_t kMany = 64;
  std::vector<std::pair<fs::path, int>> paths{{directory, O_RDONLY | O_DIRECTORY}};
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) paths.emplace_back(entry.path(), O_RDONLY);
    if (entry.is_directory()) paths.emplace_back(entry.path(), O_RDONLY | O_DIRECTORY);
  }
  if (paths.size() > kMany) {
    const Descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY));
    if (!folder.ok() || ::syncfs(folder.get()) != 0) fail(directory, "sync to disk");
    return;
  }
  for (const auto& [path, flags] : paths) sync_path(path, flags);
}

fs::path parent_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// "/a/b" -> "/a/.b.tmp-<pid>": same file system, so the rename is atomic.
fs::path temporary_sibling(const fs::path& path) {
  return parent_of(path) / fmt::format(".{}.tmp-{}", path.filename().string(), ::getpid());
}

std::string format_checksum(XXH128_hash_t hash) {
  return fmt::format("xxh128:{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) fail(path, "open for reading");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, "read its size");
  if (S_ISDIR(info.st_mode)) throw DataError(fmt::format("{}: is a folder, expected a file", path.string()));
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes)
    throw DataError(fmt::format("{}: has {} bytes, expected at most {}", path.string(), info.st_size, max_bytes));
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "read");
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > max_bytes) throw DataError(fmt::format("{}: has more than {} bytes", path.string(), max_bytes));
  }
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_sibling(path);
  try {
    {
      const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      if (!file.ok()) fail(path, "open for writing");
      for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t wrote = ::write(file.get(), bytes.data() + done, bytes.size() - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) fail(path, "write");
        done += static_cast<std::size_t>(wrote);
      }
      if (::fsync(file.get()) != 0) fail(path, "sync to disk");
    }
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename into place");
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_path(parent_of(path), O_RDONLY | O_DIRECTORY);
}

void write_directory_atomic(const fs::path& directory, const std::function<void(const fs::path&)>& build) {
  const fs::path temporary = temporary_sibling(directory);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    std::error_code error;
    fs::create_directories(temporary, error);
    if (error) throw DataError(fmt::format("{}: cannot create the folder: {}", directory.string(), error.message()));
    build(temporary);
    sync_tree(temporary);
    if (fs::is_directory(directory) && fs::is_empty(directory)) fs::remove(directory);
    fs::rename(temporary, directory, error);
    if (error) throw DataError(fmt::format("{}: cannot rename into place: {}", directory.string(), error.message()));
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
  sync_path(parent_of(directory), O_RDONLY | O_DIRECTORY);
}

void require_output_directory(const fs::path& directory, bool allow_existing) {
  std::error_code error;
  if (fs::exists(directory) && !fs::is_directory(directory))
    throw DataError(fmt::format("{}: is a file, expected a folder to write to", directory.string()));
  if (fs::exists(directory) && !fs::is_empty(directory) && !allow_existing)
    throw DataError(
        fmt::format("{}: the output folder is not empty; choose another with output=DIR, or pass "
                    "overwrite=true to replace what is there",
                    directory.string()));
  fs::create_directories(directory, error);
  if (error) throw DataError(fmt::format("{}: cannot create the folder: {}", directory.string(), error.message()));
}

// Read, not mapped: a mapped file would count as memory of the process.
std::string checksum_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) fail(path, "open for reading");
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "read");
    if (got == 0) return format_checksum(XXH3_128bits_digest(state.get()));
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string checksum_bytes(std::string_view bytes) { return format_checksum(XXH3_128bits(bytes.data(), bytes.size())); }

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) fail(path, "open for reading");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, "read its size");
  if (!S_ISREG(info.st_mode)) throw DataError(fmt::format("{}: is not a regular file", path.string()));
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) fail(path, "map into memory");
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

TempDir::TempDir() {
  std::string pattern = (fs::temp_directory_path() / "capstan-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) fail(pattern, "create a temporary folder");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace capstan
