// From files and command-line overrides to a resolved configuration.
#pragma once
#include <filesystem>
#include <span>
#include <string>

#include "capstan/config/read.h"

namespace capstan::config {

// One YAML file. ${NAME} and ${NAME:-default} are filled in from the environment. ConfigError names file and line.
Node load_yaml(const std::filesystem::path& path);
Node parse_yaml(const std::string& text, const std::string& name);

// `path` (empty: nothing) with what it `extends:` beneath it, and `overrides` ("key.path=value") on top.
// Maps are merged key by key; lists and values replace. A number in a key path addresses a list entry.
Node load_tree(const std::filesystem::path& path, std::span<const std::string> overrides);

// `top` over `base`: maps key by key; lists and values replace.
void merge(Node& base, Node top);

// Applies one "key.path=value"; the value is YAML, so lists are written [a, b]. ConfigError when it has no '='.
void apply_override(Node& root, const std::string& text);

template <class T>
T load(const std::filesystem::path& path, std::span<const std::string> overrides) {
  const Node tree = load_tree(path, overrides);
  T value;
  Problems problems;
  read(tree, value, problems);
  problems.throw_if_any();
  return value;
}

}  // namespace capstan::config
