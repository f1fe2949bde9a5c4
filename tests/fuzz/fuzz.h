// Reading damaged input: each target opens bytes the way the program would. Whatever is wrong with them must come out
// as capstan::Error; anything else (a crash, another exception, a hang) is a bug of ours.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "capstan/core/random.h"

namespace capstan::fuzz {

struct Target {
  std::string name;
  std::vector<std::string> seeds;  // whole, good inputs that are damaged
  std::function<void(const std::string& bytes)> open;
};

// Each makes what it needs below `folder`, an empty one of its own.
std::vector<Target> annotation_targets(const std::filesystem::path& folder);
std::vector<Target> tokenizer_targets(const std::filesystem::path& folder);
std::vector<Target> cache_targets(const std::filesystem::path& folder);
std::vector<Target> picture_targets(const std::filesystem::path& folder);
std::vector<Target> weight_targets(const std::filesystem::path& folder);

// `bytes` with one to eight changes: flipped bits, other bytes, pieces cut out, doubled or taken from `other`, numbers
// made huge or negative, the end cut off.
std::string mutate(std::string bytes, const std::string& other, Random& random);

// Writes without waiting for the disk.
void put(const std::filesystem::path& file, const std::string& bytes);

}  // namespace capstan::fuzz
