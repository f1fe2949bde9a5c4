#include "capstan/hub/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/signals.h"

namespace capstan::hub {
namespace {

const EVP_MD* algorithm(DigestKind kind) {
  switch (kind) {
    case DigestKind::kSha256:
      return EVP_sha256();
    case DigestKind::kGitBlob:
      return EVP_sha1();
    case DigestKind::kMd5:
      return EVP_md5();
    case DigestKind::kNone:
      break;
  }
  return nullptr;
}

}  // namespace

const char* name_of(DigestKind kind) {
  switch (kind) {
    case DigestKind::kSha256:
      return "sha256";
    case DigestKind::kGitBlob:
      return "git sha1";
    case DigestKind::kMd5:
      return "md5";
    case DigestKind::kNone:
      break;
  }
  return "no checksum";
}

Checksum checksum_of_etag(const std::string& etag) {
  if (etag.find_first_not_of("0123456789abcdef") != std::string::npos) return {};
  if (etag.size() == 64) return {DigestKind::kSha256, etag};
  if (etag.size() == 40) return {DigestKind::kGitBlob, etag};
  return {};
}

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(DigestKind kind, std::uint64_t size) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* const chosen = algorithm(kind);
  CAPSTAN_ASSERT(chosen != nullptr && context_ != nullptr);
  if (EVP_DigestInit_ex(context_.get(), chosen, nullptr) != 1)
    throw UnsupportedError(fmt::format("OpenSSL of this machine does not compute {}", name_of(kind)));
  if (kind == DigestKind::kGitBlob) {
    const std::string head = fmt::format("blob {}", size);
    update({head.c_str(), head.size() + 1});  // with the zero byte
  }
}

void Digest::update(std::string_view bytes) {
  CAPSTAN_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  CAPSTAN_ASSERT(EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) == 1);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string digest_file(const std::filesystem::path& path, DigestKind kind) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) throw DataError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  Digest digest(kind, size);
  std::vector<char> buffer(1 << 20);
  while (file) {
    if (stop_requested()) throw DataError(fmt::format("{}: stopped while checking it", path.string()));
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.update({buffer.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (file.bad()) throw DataError(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  return digest.hex();
}

}  // namespace capstan::hub
