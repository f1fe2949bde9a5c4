#include "data/cache_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "data/manifest.h"
#include "data/record_file.h"

namespace capstan {
namespace {

constexpr std::size_t kNumberDigits = 5;

void remove_suffix(std::string_view& name, std::string_view suffix) {
  if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
}

}  // namespace

std::string shard_name(std::string_view split, std::int64_t number) {
  return fmt::format("{}-{:05}.h5", split, number);
}

bool is_shard_name(std::string_view name) {
  if (name.starts_with('.')) name.remove_prefix(1);
  remove_suffix(name, ".tmp");
  remove_suffix(name, ".spool");
  if (!name.ends_with(".h5")) return false;
  name.remove_suffix(3);
  const std::size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return false;
  const std::string_view digits = name.substr(dash + 1);
  return digits.size() >= kNumberDigits &&
         std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void remove_cache(const fs::path& directory, bool remove_tokenizer) {
  std::error_code error;
  fs::remove(directory / kManifestName, error);
  std::vector<fs::path> shards;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (entry.is_regular_file() && is_shard_name(entry.path().filename().string())) shards.push_back(entry.path());
  for (const fs::path& shard : shards) fs::remove(shard, error);
  fs::remove(directory / kErrorsName, error);
  fs::remove(directory / kNotesName, error);
  fs::remove(directory / kConfigName, error);
  if (remove_tokenizer) fs::remove_all(directory / kTokenizerFolder, error);
}

void remove_leftovers(const fs::path& directory) {
  std::vector<fs::path> leftovers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    bool left = name.starts_with(kRecordFilePrefix) || (name.starts_with('.') && is_shard_name(name));
    for (const char* file : {kManifestName, kErrorsName, kNotesName, kConfigName})
      left = left || name.starts_with(fmt::format(".{}.tmp-", file));
    if (left) leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

void require_free_space(const fs::path& directory, std::uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  if (error || space.available >= bytes) return;  // a file system that cannot tell is given the benefit of the doubt
  throw DataError(
      fmt::format("{}: the cache needs about {}, the disk has {} free; choose another output, or "
                  "store=jpeg, or free some space",
                  directory.string(), human_bytes(bytes), human_bytes(space.available)));
}

}  // namespace capstan
