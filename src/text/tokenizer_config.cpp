// Reads what transformers 4 and 5 write; writes plain strings, which Transformers.js needs.
#include "text/tokenizer_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "text/json_access.h"

namespace capstan::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kCleanUp = "clean_up_tokenization_spaces";
constexpr const char* kCleanUpBpe = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";

// A special token: a string or an AddedToken object.
AddedToken parse_special_token(const json& value, const std::string& where, std::string_view key) {
  if (value.is_string()) return {.content = value.get<std::string>()};
  if (value.is_object() && value.contains("content")) {
    AddedToken token = parse_added_token(value, where);
    token.special = true;
    return token;
  }
  throw DataError(
      fmt::format("{}: '{}' is {}; expected a string or an object with 'content'.", where, key, value.type_name()));
}

// What the file adds to `config`; roles that are already known stay.
void merge_special_tokens(const json& file, const std::string& where, TokenizerConfig& config) {
  for (const auto& [role, key] : kRoles) {
    const json* value = find_value(file, key);
    if (value != nullptr && !config.roles[role]) config.roles[role] = parse_special_token(*value, where, key);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json* value = find_value(file, key);
    if (value == nullptr) continue;
    for (const json& token : *value) config.others.push_back(parse_special_token(token, where, key));
  }
}

void read_added_tokens_decoder(const json& decoder, const std::string& where, TokenizerConfig& config) {
  if (!decoder.is_object()) {
    throw DataError(fmt::format("{}: 'added_tokens_decoder' is {}; expected an object.", where, decoder.type_name()));
  }
  for (const auto& [id, value] : decoder.items()) {
    AddedToken token = parse_added_token(value, where);
    const json number = json::parse(id, nullptr, false);
    const std::int64_t whole = whole_number(number, where, fmt::format("the id '{}' of an added token", id));
    if (whole < 0 || whole > std::int64_t{UINT32_MAX}) {
      throw DataError(fmt::format("{}: the added token '{}' has id {}.", where, token.content, whole));
    }
    token.id = static_cast<TokenId>(whole);
    config.added.push_back(std::move(token));
  }
}

json read_object(const fs::path& path) {
  json file = read_json(path);
  if (!file.is_object()) {
    throw DataError(fmt::format("{}: holds {}; expected an object.", path.string(), file.type_name()));
  }
  return file;
}

}  // namespace

void TokenizerConfig::apply(const TokenizerOptions& options) {
  if (options.add_prefix_space) add_prefix_space = options.add_prefix_space;
  if (options.clean_up_tokenization_spaces) clean_up = clean_up_bpe = *options.clean_up_tokenization_spaces;
  const auto want = [&](const std::string& content, std::string_view option, bool special) {
    if (content.empty()) throw ConfigError(fmt::format("{} holds an empty text.", option));
    wanted.push_back({.content = content, .special = special, .normalized = !special});
  };
  for (const std::string& token : options.added_tokens) want(token, "added_tokens", false);
  for (const std::string& token : options.special_tokens) want(token, "special_tokens", true);
}

AddedToken parse_added_token(const json& value, const std::string& where) {
  AddedToken token;
  const auto content = find_text(value, "content", where);
  if (!content || content->empty()) throw DataError(fmt::format("{}: an added token has no 'content'.", where));
  token.content = *content;
  if (bool_or(value, "single_word", false, where)) {
    throw UnsupportedError(
        fmt::format("{}: the added token '{}' has single_word true, which is not supported.", where, token.content));
  }
  token.special = bool_or(value, "special", false, where);
  token.lstrip = bool_or(value, "lstrip", false, where);
  token.rstrip = bool_or(value, "rstrip", false, where);
  token.normalized = bool_or(value, "normalized", !token.special, where);
  return token;
}

TokenizerConfig read_tokenizer_config(const fs::path& directory) {
  TokenizerConfig config;
  const fs::path config_path = directory / "tokenizer_config.json";
  if (fs::exists(config_path)) {
    config.found = true;
    const json file = read_object(config_path);
    const std::string where = config_path.string();
    merge_special_tokens(file, where, config);
    if (const json* decoder = find_value(file, "added_tokens_decoder")) {
      read_added_tokens_decoder(*decoder, where, config);
    }
    if (find_value(file, "add_prefix_space")) {
      config.add_prefix_space = bool_or(file, "add_prefix_space", false, where);
    }
    config.clean_up = bool_or(file, kCleanUp, false, where);
    config.clean_up_bpe = bool_or(file, kCleanUpBpe, false, where);
    // Folders without a limit carry 1e30 here, which is no whole number.
    const json* length = find_value(file, "model_max_length");
    if (length != nullptr && length->is_number_integer()) {
      const std::int64_t whole = whole_number(*length, where, "'model_max_length'");
      if (whole > 0) config.model_max_length = whole;
    }
  }
  const fs::path map_path = directory / "special_tokens_map.json";
  if (fs::exists(map_path)) {
    config.found = true;
    merge_special_tokens(read_object(map_path), map_path.string(), config);
  }
  return config;
}

void write_tokenizer_config(const fs::path& directory, std::string_view tokenizer_class,
                            const PerRole<std::string>& tokens, std::int64_t model_max_length, bool clean_up,
                            const nlohmann::ordered_json& extra) {
  nlohmann::ordered_json config = {{"tokenizer_class", tokenizer_class}};
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  for (const auto& [role, key] : kRoles) {
    if (!tokens[role]) continue;
    config[std::string(key)] = *tokens[role];
    map[std::string(key)] = *tokens[role];
  }
  config["model_max_length"] = model_max_length;
  config[kCleanUp] = clean_up;
  if (clean_up) config[kCleanUpBpe] = true;
  config.update(extra);
  write_json(directory / "tokenizer_config.json", config);
  write_json(directory / "special_tokens_map.json", map);
}

}  // namespace capstan::text
