// What is in a prepared cache, in words, and whether it is still what was written.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace capstan {

// Several lines for people: counts and sizes by split, store, tokenizer, caption lengths, frequent words, errors.
// DataError as Cache.
std::string describe_cache(const std::filesystem::path& directory);

// The same for one shard file on its own: header, counts, its first pictures with their captions.
std::string describe_shard(const std::filesystem::path& file);

// Reads every byte again and compares with manifest.json: one line per file that is missing, of another size or
// changed, or whose contents do not hold together. Empty: all is well. DataError when the folder is no cache.
std::vector<std::string> verify_cache(const std::filesystem::path& directory);

struct ContactSheetOptions {
  std::filesystem::path file;  // .png or .html
  std::string split;           // empty: the first
  std::int64_t samples = 24;
  std::int64_t seed = 0;  // another one shows other pictures
};

// Pictures of a cache with their captions, for people. HTML shows every caption and is one file that needs no other;
// PNG shows the first. DataError when the file's ending is another one or it cannot be written.
void write_contact_sheet(const std::filesystem::path& directory, const ContactSheetOptions& options);

}  // namespace capstan
