// A file on its way: `<name>.incomplete`, locked against a second program, checked, and renamed when it is whole.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "capstan/hub/digest.h"

namespace capstan::hub {

class PartFile {
 public:
  // `file` is where it ends. Continues what an earlier run left there. DataError when it cannot be opened or is in use.
  // `size` and `checksum` of the whole, as far as known. Without a checksum, what is there is only continued when the
  // server's mark of the version was written beside it.
  PartFile(std::filesystem::path file, std::optional<std::uint64_t> size, Checksum checksum);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  std::uint64_t bytes() const { return bytes_; }
  bool resumed() const { return resumed_; }  // holds bytes of an earlier run
  bool whole() const { return size_ && bytes_ == *size_; }
  const std::optional<std::uint64_t>& size() const { return size_; }

  // What If-Range is to say: "" when any version will do, because the checksum decides.
  const std::string& validator() const { return validator_; }
  void set_validator(const std::string& validator);

  void append(std::string_view bytes);  // DataError on a full disk and on more bytes than `size`
  void restart();                       // throws away what is there
  // Compares and renames. False, with nothing left, when the checksum is wrong but bytes of an earlier run were part
  // of it; DataError, with the file removed, when all of it came in one go.
  bool place(const std::string& source);

  static std::filesystem::path part_of(const std::filesystem::path& file);

 private:
  void lock();
  void take_over_earlier_bytes();
  std::string found_checksum();
  [[noreturn]] void fail(const char* action) const;

  std::filesystem::path file_, part_, note_;
  std::optional<std::uint64_t> size_;
  Checksum checksum_;
  std::optional<Digest> digest_;
  std::string validator_;
  int fd_ = -1;
  std::uint64_t bytes_ = 0;
  bool resumed_ = false;
};

// DataError when `bytes` more do not fit beside `folder`, which need not exist yet.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace capstan::hub
