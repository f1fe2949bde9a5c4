// Real photos and texts beside the project; tests that need them say so when they are absent.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "support/source_dir.h"

namespace capstan::testing {

inline std::optional<std::filesystem::path> shared_data() {
  const char* given = std::getenv("CAPSTAN_SHARED_DATA");
  const std::filesystem::path folder =
      given != nullptr ? std::filesystem::path(given) : source_dir() / "../shared/data";
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  return std::filesystem::canonical(folder);
}

}  // namespace capstan::testing
