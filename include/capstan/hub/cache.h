// The folder layout in which huggingface_hub keeps what it downloaded, read and written so that both programs find
// each other's files:
//   models--owner--name/blobs/<etag>                the bytes
//   models--owner--name/snapshots/<commit>/<file>   relative links to them
//   models--owner--name/refs/<revision>             the commit a branch or tag stood for
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "capstan/hub/names.h"

namespace capstan::hub {

class Cache {
 public:
  Cache(const std::filesystem::path& root, const Repository& repository);

  std::filesystem::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }

  // Whether snapshot(commit)/name leads to a file of this size (any when unknown).
  bool holds(const std::string& commit, const std::string& name, std::optional<std::uint64_t> size) const;
  // Makes snapshot(commit)/name a link to blob(etag); a copy on file systems without links.
  void link(const std::string& commit, const std::string& name, const std::string& etag) const;
  // Remembers what `revision` stands for; nothing when it is the commit itself.
  void write_ref(const std::string& revision, const std::string& commit) const;
  // The commit of a revision as last fetched.
  std::optional<std::string> read_ref(const std::string& revision) const;

 private:
  std::filesystem::path folder_;
};

// A commit as endpoints name it: 40 hexadecimal digits.
bool is_commit(const std::string& text);
// Creates the folder and those above it. DataError with the reason when it cannot.
void make_folder(const std::filesystem::path& folder);

}  // namespace capstan::hub
