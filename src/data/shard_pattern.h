// "shards/{00000..00012}.tar" and "shards/*.tar" to the files they stand for.
#pragma once
#include <string>
#include <vector>

namespace capstan {

// Braces as in bash: {a,b} and {00..12}, several and nested; other braces stay. DataError when there would be more
// than a million.
std::vector<std::string> expand_braces(const std::string& pattern);

// The files, in the order of the braces and sorted by name within each of *, ? and [...]. DataError when one does not
// exist or nothing matches.
std::vector<std::string> find_shards(const std::string& pattern);

}  // namespace capstan
