// What is in a prepared cache, in words, and whether it is still what was written.
#pragma once
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

}  // namespace capstan
