// What a Hugging Face-compatible endpoint says about a repository.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capstan/hub/digest.h"
#include "capstan/hub/names.h"
#include "hub/retry.h"

namespace capstan::hub {

struct RemoteFile {
  std::string name;
  std::optional<std::uint64_t> size;
  std::string etag;  // name of its blob in the cache: SHA-256 of large files, git's name of small ones
  Checksum checksum;
};

struct Revision {
  std::string commit;
  std::vector<RemoteFile> files;  // in the endpoint's order; names are checked
};

class Endpoint {
 public:
  Endpoint(Access access, Retry retry, Repository repository)
      : access_(std::move(access)), retry_(retry), repository_(std::move(repository)) {}

  // DataError says what helps: a token, another revision, the nearest name.
  Revision revision(const std::string& name) const;
  // Asks for size and checksum of a file that the list did not tell.
  void complete(RemoteFile& file, const std::string& commit) const;
  std::string file_url(const std::string& name, const std::string& commit) const;
  std::string page() const { return access_.endpoint + repository_.page(); }

 private:
  [[noreturn]] void refuse(const Answer& answer, const std::string& revision) const;
  std::vector<std::string> known_revisions() const;
  std::vector<std::string> similar_repositories() const;

  Access access_;
  Retry retry_;
  Repository repository_;
};

}  // namespace capstan::hub
