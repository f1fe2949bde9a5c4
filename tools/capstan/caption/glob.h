// Patterns of paths, for when the shell has not expanded them: * ? [..] within a name, ** for any number of folders.
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace capstan::cli {

bool has_wildcard(std::string_view text);

// Hands `take` every path that matches, sorted; false from it ends the search and is returned. Names that begin with a
// dot match only patterns that do. A pattern with ** matches files only, because the folders it passes are part of it.
bool match_files(const std::string& pattern, const std::function<bool(const std::string&)>& take);

}  // namespace capstan::cli
