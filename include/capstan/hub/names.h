// Names that come from a server or a user: checked before they become addresses or files.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace capstan::hub {

// Why `name` may not become a file below a folder, or "". Refused: empty and absolute names, "." and ".." parts,
// backslashes, control characters, broken UTF-8, parts over 255 bytes.
std::string name_problem(std::string_view name);
// DataError with `where` in front when there is a problem.
void check_file_name(std::string_view name, std::string_view where);

// With control characters and bytes that are no UTF-8 replaced by '?', at most `limit` bytes: fit for a terminal.
std::string printable(std::string_view text, std::size_t limit = 300);

// For the path of an address: everything but letters, digits and "-._~" becomes %XX; '/' stays if `keep_slash`.
std::string escape_url(std::string_view text, bool keep_slash);
// Without "?...", which may hold a signature, and without "user:password@".
std::string public_url(std::string_view url);

// Shell patterns as in "*.json"; '*' goes over '/', and "folder/" means all below it.
bool matches_any(const std::string& name, std::span<const std::string> patterns);

// A repository of an endpoint: "google/vit-base-patch16-224-in21k", "gpt2", "datasets/owner/name", or its address.
struct Repository {
  std::string kind = "model";  // or "dataset"
  std::string id;              // "owner/name" or "name"

  std::string api_path() const { return "/api/" + kind + "s/" + id; }
  std::string page() const { return (kind == "dataset" ? "/datasets/" : "/") + id; }  // below the endpoint
  std::string cache_folder() const;                                                   // "models--owner--name"
};
// UsageError when `text` can be no repository.
Repository parse_repository(std::string_view text, const std::string& endpoint);

}  // namespace capstan::hub
