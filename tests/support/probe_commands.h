// Commands of the probe. Each looks at argv[1] and returns the exit status, or -1 when that is none of its commands.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"

#define CAPSTAN_PROBE(name) int probe_##name(int argc, char** argv);
#include "support/probe.def"
#undef CAPSTAN_PROBE

namespace capstan::testing {

// Fills a configuration from JSON by the names in its fields().
struct JsonReader {
  nlohmann::json options;  // what no field has taken yet

  template <class T, class... Rest>
  void operator()(const char* key, T& value, const Rest&...) {
    if (options.contains(key)) value = options.at(key).get<T>();
    options.erase(key);
  }
  template <class... Rest>
  void operator()(const char*, std::vector<config::Component>&, const Rest&...) {}  // plug-ins are not set this way
  template <class T, class... Rest>
  void operator()(const char* key, std::optional<T>& value, const Rest&...) {
    if (options.contains(key)) value = options.at(key).get<T>();
    options.erase(key);
  }
};

// The configuration in a JSON file. ConfigError for keys that it does not have: a test that misspells one must fail.
template <class Config>
Config read_json_config(const std::filesystem::path& path) {
  Config config;
  JsonReader reader{read_json(path)};
  config.fields(reader);
  if (!reader.options.empty()) throw ConfigError("no such options: " + reader.options.dump());
  return config;
}

}  // namespace capstan::testing
