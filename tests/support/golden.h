// Expected values from tests/golden, each made by a script in tools/golden.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "capstan/core/json.h"
#include "support/source_dir.h"

namespace capstan::testing {

inline nlohmann::json golden(const std::string& name) { return read_json(source_dir() / "tests/golden" / name); }

}  // namespace capstan::testing
