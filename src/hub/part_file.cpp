#include "hub/part_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/hub/cache.h"
#include "hub/retry.h"

namespace capstan::hub {

fs::path PartFile::part_of(const fs::path& file) { return fs::path(file.string() + ".incomplete"); }

PartFile::PartFile(fs::path file, std::optional<std::uint64_t> size, Checksum checksum)
    : file_(std::move(file)), part_(part_of(file_)), size_(size), checksum_(std::move(checksum)) {
  note_ = part_.string() + ".version";
  make_folder(file_.parent_path().empty() ? fs::path(".") : file_.parent_path());
  fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) fail("open for writing");
  try {
    lock();
    take_over_earlier_bytes();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

PartFile::~PartFile() {
  if (fd_ >= 0) ::close(fd_);
}

void PartFile::fail(const char* action) const {
  const char* const hint = errno == ENOSPC || errno == EDQUOT ? "; make room and run the same command again" : "";
  throw DataError(fmt::format("{}: cannot {}: {}{}", part_.string(), action, std::strerror(errno), hint));
}

// File systems without locks (ENOLCK) get none. Whoever held the lock may have renamed the file in the meantime.
void PartFile::lock() {
  struct stat ours {
  }, named{};
  const bool busy = ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const bool same = ::fstat(fd_, &ours) == 0 && ::stat(part_.c_str(), &named) == 0 && ours.st_ino == named.st_ino;
  if (busy || !same)
    throw DataError(fmt::format("{}: another program is downloading it; wait for that one", part_.string()));
}

// The bytes are read once more for the checksum, so that in the end it is of what the disk holds.
void PartFile::take_over_earlier_bytes() {
  const off_t end = ::lseek(fd_, 0, SEEK_END);
  if (end < 0) fail("read its size");
  std::error_code ignored;
  if (!checksum_.known() && fs::is_regular_file(note_, ignored)) validator_ = read_file(note_, 1 << 12);
  const bool usable = checksum_.known() || !validator_.empty();
  if (end == 0 || !usable || (size_ && static_cast<std::uint64_t>(end) > *size_)) return restart();
  if (checksum_.known() && (size_ || checksum_.kind != DigestKind::kGitBlob)) {
    digest_.emplace(checksum_.kind, size_.value_or(0));
    std::vector<char> buffer(1 << 20);
    for (off_t at = 0; at < end;) {
      throw_if_stopped();
      const ssize_t got = ::pread(fd_, buffer.data(), buffer.size(), at);
      if (got <= 0) fail("read what is there");
      digest_->update({buffer.data(), static_cast<std::size_t>(got)});
      at += got;
    }
  }
  bytes_ = static_cast<std::uint64_t>(end);
  resumed_ = true;
}

void PartFile::set_validator(const std::string& validator) {
  if (validator == validator_) return;
  validator_ = validator;
  if (!checksum_.known()) write_file_atomic(note_, validator_);
}

void PartFile::append(std::string_view bytes) {
  if (size_ && bytes_ + bytes.size() > *size_)
    throw DataError(fmt::format("{}: the server sends more than the {} bytes it announced", file_.string(), *size_));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(bytes_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail("write");
    done += static_cast<std::size_t>(wrote);
  }
  bytes_ += bytes.size();
  if (digest_) digest_->update(bytes);
}

void PartFile::restart() {
  if (::ftruncate(fd_, 0) != 0) fail("empty it");
  std::error_code ignored;
  fs::remove(note_, ignored);
  validator_.clear();
  bytes_ = 0;
  resumed_ = false;
  digest_.reset();
  if (checksum_.known() && (size_ || checksum_.kind != DigestKind::kGitBlob))
    digest_.emplace(checksum_.kind, size_.value_or(0));
}

std::string PartFile::found_checksum() {
  if (!checksum_.known()) return "";
  return digest_ ? digest_->hex() : digest_file(part_, checksum_.kind);
}

bool PartFile::place(const std::string& source) {
  const std::string found = found_checksum();
  std::error_code ignored;
  if (found != checksum_.hex) {
    if (resumed_) {
      restart();
      return false;
    }
    fs::remove(part_, ignored);
    throw DataError(
        fmt::format("{}: its {} is {}, expected {}; the file was removed. Run the command again; if it stays so, the "
                    "server or a proxy on the way changes it",
                    source, name_of(checksum_.kind), found, checksum_.hex));
  }
  if (::fsync(fd_) != 0) fail("sync to disk");
  if (std::rename(part_.c_str(), file_.c_str()) != 0) fail("rename into place");
  fs::remove(note_, ignored);
  return true;
}

void require_space(const fs::path& folder, std::uint64_t bytes) {
  fs::path there = fs::absolute(folder);
  std::error_code error;
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  const fs::space_info space = fs::space(there, error);
  if (!error && space.available < bytes)
    throw DataError(fmt::format("{}: {} are needed, {} are free; make room, or choose another place with to=DIR",
                                folder.string(), human_bytes(bytes), human_bytes(space.available)));
}

}  // namespace capstan::hub
