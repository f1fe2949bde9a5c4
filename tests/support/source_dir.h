// Where the project's sources lie, for tests that read files of the repository.
#pragma once
#include <filesystem>

namespace capstan::testing {

std::filesystem::path source_dir();

}  // namespace capstan::testing
