#include "capstan/hub/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"
#include "capstan/hub/names.h"

namespace capstan::hub {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The first that is set, "~/" replaced by the home folder; else `otherwise`.
fs::path path_variable(std::initializer_list<const char*> names, const fs::path& otherwise) {
  for (const char* const name : names) {
    const std::string value = variable(name);
    if (value.starts_with("~/")) return fs::path(variable("HOME")) / value.substr(2);
    if (!value.empty()) return value;
  }
  return otherwise;
}

bool is_true(const std::string& value) {
  const std::string lower = to_lower_ascii(value);
  return lower == "1" || lower == "on" || lower == "yes" || lower == "true";
}

std::string read_endpoint() {
  std::string endpoint = variable("HF_ENDPOINT");
  if (endpoint.empty()) return "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://"))
    throw ConfigError(fmt::format("HF_ENDPOINT: found '{}', expected an address such as https://huggingface.co",
                                  public_url(endpoint)));
  return endpoint;
}

void read_token(const std::string& given, const fs::path& home, Environment& environment) {
  const fs::path file = path_variable({"HF_TOKEN_PATH"}, home / "token");
  std::error_code ignored;
  if (!given.empty()) {
    environment.token = given;
    environment.token_source = "token=";
  } else if (const std::string set = variable("HF_TOKEN"); !set.empty()) {
    environment.token = set;
    environment.token_source = "HF_TOKEN";
  } else if (fs::is_regular_file(file, ignored)) {
    environment.token = read_file(file, 1 << 16);
    environment.token_source = file.string();
  }
  environment.token = std::string(trim(environment.token));
  if (environment.token.empty()) environment.token_source.clear();
  const bool safe = std::all_of(environment.token.begin(), environment.token.end(),
                                [](char c) { return c > 0x20 && static_cast<unsigned char>(c) < 0x7f; });
  if (!safe)
    throw ConfigError(
        fmt::format("{}: the token holds blanks or characters that no token has; expected one such as "
                    "hf_... on a line of its own",
                    environment.token_source));
}

}  // namespace

Environment read_environment(const std::string& token) {
  Environment environment;
  environment.endpoint = read_endpoint();
  const fs::path base = path_variable({"XDG_CACHE_HOME"}, fs::path(variable("HOME")) / ".cache");
  const fs::path home = path_variable({"HF_HOME"}, base / "huggingface");
  environment.cache = path_variable({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}, home / "hub");
  environment.offline = is_true(variable("HF_HUB_OFFLINE"));
  read_token(token, home, environment);
  return environment;
}

}  // namespace capstan::hub
