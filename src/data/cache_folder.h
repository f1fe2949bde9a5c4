// Names of a cache's files, and their removal.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace capstan {

std::string shard_name(std::string_view split, std::int64_t number);  // "train-00000.h5"
bool is_shard_name(std::string_view name);                            // also of a shard that was being written

// Removes what a cache consists of and nothing else; the tokenizer's folder only if asked. The manifest goes first,
// so that a removal cut short does not leave something that looks whole.
void remove_cache(const std::filesystem::path& directory, bool remove_tokenizer);

// What a killed process may have left under a temporary name.
void remove_leftovers(const std::filesystem::path& directory);

// DataError when the file system of `directory` has less than `bytes` to spare.
void require_free_space(const std::filesystem::path& directory, std::uint64_t bytes);

}  // namespace capstan
