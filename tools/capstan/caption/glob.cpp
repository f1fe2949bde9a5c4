#include "caption/glob.h"

#include <fnmatch.h>

#include <span>
#include <vector>

#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "caption/names.h"

namespace capstan::cli {
namespace {

constexpr std::string_view kAnyFolders = "**";

class Search {
 public:
  Search(bool files_only, const std::function<bool(const std::string&)>& take) : files_only_(files_only), take_(take) {}

  // `parts` of the pattern below `base`, which exists. An empty base is the current folder.
  bool below(const fs::path& base, std::span<const std::string> parts) const {
    if (parts.empty()) return deliver(base);
    const std::string& part = parts.front();
    if (part == kAnyFolders) return any_folders(base, parts);
    if (!has_wildcard(part)) {
      const fs::path path = base / part;
      std::error_code ignored;
      return !fs::exists(path, ignored) || below(path, parts.subspan(1));
    }
    return for_names(base, [&](const fs::path& path, bool is_folder) {
      if (::fnmatch(part.c_str(), path.filename().c_str(), FNM_PERIOD) != 0) return true;
      if (!is_folder && parts.size() > 1) return true;
      return below(path, parts.subspan(1));
    });
  }

 private:
  // Files of a folder come before those of the folders in it.
  bool any_folders(const fs::path& base, std::span<const std::string> parts) const {
    if (!below(base, parts.subspan(1))) return false;
    return for_names(base, [&](const fs::path& path, bool is_folder) {
      const bool hidden = path.filename().native().starts_with('.');
      return !is_folder || hidden || any_folders(path, parts);
    });
  }

  // Folders that cannot be read match nothing, as in a shell.
  static bool for_names(const fs::path& base, const std::function<bool(const fs::path&, bool)>& visit) {
    std::error_code error;
    const NameList names(base.empty() ? fs::path(".") : base, error);
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!visit(base / names.name(i), names.is_folder(i))) return false;
    return true;
  }

  bool deliver(const fs::path& path) const {
    std::error_code ignored;
    if (files_only_ && fs::is_directory(path, ignored)) return true;
    return take_(path.string());
  }

  const bool files_only_;
  const std::function<bool(const std::string&)>& take_;
};

}  // namespace

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

bool match_files(const std::string& pattern, const std::function<bool(const std::string&)>& take) {
  std::vector<std::string> parts;
  bool any_folders = false;
  for (auto& part : split(pattern, '/')) {
    if (part.empty()) continue;
    const bool again = part == kAnyFolders && !parts.empty() && parts.back() == kAnyFolders;
    any_folders = any_folders || part == kAnyFolders;
    if (!again) parts.push_back(std::move(part));
  }
  if (!parts.empty() && parts.back() == kAnyFolders) parts.emplace_back("*");
  return Search(any_folders, take).below(pattern.starts_with('/') ? "/" : "", parts);
}

}  // namespace capstan::cli
