#include "capstan/parallel/environment.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "parallel/variables.h"

namespace capstan {
namespace {

constexpr std::array<const char*, 4> kRequired = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"};

// Both RANK and WORLD_SIZE absent: not started by torchrun or its like. MASTER_ADDR alone is often left in a shell.
bool names_a_rank(const Lookup& lookup) {
  return read_text(lookup, "RANK").has_value() || read_text(lookup, "WORLD_SIZE").has_value();
}

void require_all(const Lookup& lookup) {
  std::vector<std::string> missing, found;
  for (const char* name : kRequired) (read_text(lookup, name) ? found : missing).emplace_back(name);
  if (missing.empty()) return;
  throw ConfigError(
      fmt::format("{} is not set although {} is: a process of a distributed run needs RANK, WORLD_SIZE, MASTER_ADDR "
                  "and MASTER_PORT together. Start it with torchrun, or unset {} for a run on this machine alone.",
                  join(missing, ", "), join(found, ", "), join(found, ", ")));
}

WorldEnvironment torchrun_environment(const Lookup& lookup) {
  require_all(lookup);
  WorldEnvironment world;
  world.size = static_cast<int>(*read_number(lookup, "WORLD_SIZE", 1, kMostRanks));
  world.rank = static_cast<int>(*read_number(lookup, "RANK", 0, world.size - 1));
  world.local_size = static_cast<int>(read_number(lookup, "LOCAL_WORLD_SIZE", 1, world.size).value_or(0));
  const int most_local = world.local_size > 0 ? world.local_size : world.size;
  world.local_rank = static_cast<int>(read_number(lookup, "LOCAL_RANK", 0, most_local - 1).value_or(0));
  if (world.local_size == 0) world.local_size = world.local_rank + 1;  // not said; only ever used to divide a host
  world.master_addr = *read_text(lookup, "MASTER_ADDR");
  world.master_port = static_cast<int>(*read_number(lookup, "MASTER_PORT", 1, kMostPorts));
  world.agent_store = to_lower_ascii(read_text(lookup, "TORCHELASTIC_USE_AGENT_STORE").value_or("")) == "true";
  world.restart_count = static_cast<int>(read_number(lookup, "TORCHELASTIC_RESTART_COUNT", 0, 1 << 30).value_or(0));
  world.master_socket = static_cast<int>(read_number(lookup, "CAPSTAN_MASTER_SOCKET", 0, 1 << 20).value_or(-1));
  return world;
}

}  // namespace

std::optional<std::string> read_text(const Lookup& lookup, const char* variable) {
  std::optional<std::string> text = lookup(variable);
  if (text && trim(*text).empty()) return std::nullopt;
  return text;
}

std::int64_t parse_number(const std::string& variable, const std::string& text, std::int64_t lowest,
                          std::int64_t highest) {
  const std::string_view digits = trim(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < lowest || value > highest) {
    throw ConfigError(fmt::format(
        "the environment variable {} is '{}'; expected a whole number from {} to {}. It is set by what starts the "
        "processes of a distributed run; unset it for a run on this machine alone.",
        variable, text, lowest, highest));
  }
  return value;
}

std::optional<std::int64_t> read_number(const Lookup& lookup, const char* variable, std::int64_t lowest,
                                        std::int64_t highest) {
  const auto text = read_text(lookup, variable);
  if (!text) return std::nullopt;
  return parse_number(variable, *text, lowest, highest);
}

std::optional<WorldEnvironment> world_environment() {
  return world_environment([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

std::optional<WorldEnvironment> world_environment(const Lookup& lookup) {
  if (names_a_rank(lookup)) return torchrun_environment(lookup);
  return slurm_environment(lookup);
}

}  // namespace capstan
