// Numbers in environment variables, checked, with errors that name the variable.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "capstan/parallel/environment.h"

namespace capstan {

// ConfigError unless `text` is a whole number from `lowest` to `highest`.
std::int64_t parse_number(const std::string& variable, const std::string& text, std::int64_t lowest,
                          std::int64_t highest);
// The same for a variable; nothing when it is not set or empty.
std::optional<std::int64_t> read_number(const Lookup& lookup, const char* variable, std::int64_t lowest,
                                        std::int64_t highest);
// A variable's text; nothing when it is not set or empty.
std::optional<std::string> read_text(const Lookup& lookup, const char* variable);

// What SLURM says, or nothing outside of a step with more than one task.
std::optional<WorldEnvironment> slurm_environment(const Lookup& lookup);

inline constexpr int kMostRanks = 1 << 20;
inline constexpr int kMostPorts = 65535;

}  // namespace capstan
