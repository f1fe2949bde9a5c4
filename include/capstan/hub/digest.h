// Checksums in the forms that servers publish, computed piece by piece.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace capstan::hub {

// kGitBlob is git's name of a file's content: SHA-1 over "blob <size>\0" and the bytes.
enum class DigestKind { kNone, kSha256, kGitBlob, kMd5 };

const char* name_of(DigestKind kind);  // "sha256", "git sha1", "md5"

struct Checksum {
  DigestKind kind = DigestKind::kNone;
  std::string hex;  // lower case
  bool known() const { return kind != DigestKind::kNone; }
};

// What an ETag of a Hugging Face endpoint stands for: 64 hexadecimal digits are a SHA-256, 40 a git blob.
Checksum checksum_of_etag(const std::string& etag);

class Digest {
 public:
  // `size` of the whole content; only kGitBlob needs it.
  Digest(DigestKind kind, std::uint64_t size);
  void update(std::string_view bytes);
  std::string hex();  // ends the computation

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// DataError when the file cannot be read or the program was asked to stop.
std::string digest_file(const std::filesystem::path& path, DigestKind kind);

}  // namespace capstan::hub
