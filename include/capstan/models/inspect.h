// What a model folder holds, for `capstan inspect`.
#pragma once
#include <filesystem>
#include <string>

namespace capstan {

// A table of parameters (blocks of the same shape folded into one line) with counts, bytes and sums by part, from
// the files alone. CheckpointError when there are no weights or they cannot be read.
std::string describe_model(const std::filesystem::path& directory);

}  // namespace capstan
