#include "capstan/hub/cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"

namespace capstan::hub {

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw DataError(fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()));
}

Cache::Cache(const fs::path& root, const Repository& repository) : folder_(root / repository.cache_folder()) {}

bool Cache::holds(const std::string& commit, const std::string& name, std::optional<std::uint64_t> size) const {
  std::error_code error;
  const fs::path file = snapshot(commit) / name;
  if (!fs::is_regular_file(file, error)) return false;
  return !size || (fs::file_size(file, error) == *size && !error);
}

void Cache::link(const std::string& commit, const std::string& name, const std::string& etag) const {
  const fs::path file = snapshot(commit) / name;
  const fs::path target = fs::relative(blob(etag), file.parent_path());
  std::error_code error;
  if (fs::is_symlink(file, error) && fs::read_symlink(file, error) == target) return;
  make_folder(file.parent_path());
  // Made beside and renamed, because a link cannot be replaced in one step.
  const fs::path temporary = file.parent_path() / fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid());
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  if (error) fs::copy_file(blob(etag), temporary, error);
  if (!error) fs::rename(temporary, file, error);
  if (error) throw DataError(fmt::format("{}: cannot be linked to {}: {}", file.string(), etag, error.message()));
}

void Cache::write_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit || read_ref(revision) == commit) return;
  const fs::path file = folder_ / "refs" / revision;
  make_folder(file.parent_path());
  write_file_atomic(file, commit);
}

std::optional<std::string> Cache::read_ref(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path file = folder_ / "refs" / revision;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return std::nullopt;
  const std::string commit(trim(read_file(file, 1 << 10)));
  if (!is_commit(commit)) return std::nullopt;
  return commit;
}

}  // namespace capstan::hub
