#include "capstan/config/load.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/strings.h"

namespace capstan::config {
namespace {

constexpr int kMaxDepth = 64;

// Fills ${NAME} and ${NAME:-default}; $$ stands for one dollar sign.
std::string expand_environment(const std::string& text, const std::string& where) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "$$") == 0) {
      result += '$';
      ++i;
    } else if (text.compare(i, 2, "${") == 0) {
      const std::size_t end = text.find('}', i);
      if (end == std::string::npos)
        throw ConfigError(fmt::format("{}: '${{' has no closing brace in '{}'", where, text));
      const std::string inside = text.substr(i + 2, end - i - 2);
      const std::size_t separator = inside.find(":-");
      const std::string name = inside.substr(0, separator);
      const char* const value = std::getenv(name.c_str());
      if (value != nullptr)
        result += value;
      else if (separator != std::string::npos)
        result += inside.substr(separator + 2);
      else
        throw ConfigError(fmt::format("{}: the environment variable {} is not set; set it, or write ${{{}:-default}}",
                                      where, name, name));
      i = end;
    } else {
      result += text[i];
    }
  }
  return result;
}

Node convert(const YAML::Node& yaml, const std::string& file, int depth) {
  Node node;
  node.file = file;
  node.line = yaml.Mark().is_null() ? 0 : yaml.Mark().line + 1;
  if (depth > kMaxDepth) throw ConfigError(fmt::format("{}: nested deeper than {} levels", node.where(), kMaxDepth));
  if (yaml.IsScalar()) {
    node.kind = Node::Kind::kScalar;
    node.quoted = yaml.Tag() == "!";
    node.scalar = expand_environment(yaml.Scalar(), node.where());
  } else if (yaml.IsSequence()) {
    node.kind = Node::Kind::kSequence;
    for (const auto& item : yaml) node.items.push_back(convert(item, file, depth + 1));
  } else if (yaml.IsMap()) {
    node.kind = Node::Kind::kMap;
    for (const auto& entry : yaml) {
      if (!entry.first.IsScalar()) throw ConfigError(node.where() + ": a key is not plain text");
      const std::string key = entry.first.Scalar();
      const int key_line = entry.first.Mark().line + 1;
      if (node.find(key) != nullptr)
        throw ConfigError(fmt::format("{}:{}: the key '{}' appears twice", file, key_line, key));
      Node value = convert(entry.second, file, depth + 1);
      value.key_line = key_line;
      node.entries.emplace_back(key, std::move(value));
    }
  }
  return node;
}

// `seen` holds the files on the way down, to refuse a circle.
Node load_extended(const std::filesystem::path& path, std::vector<std::filesystem::path>& seen) {
  const auto canonical = std::filesystem::weakly_canonical(path);
  if (std::find(seen.begin(), seen.end(), canonical) != seen.end())
    throw ConfigError(fmt::format("{}: extends itself through {}", path.string(), seen.back().string()));
  seen.push_back(canonical);
  Node top = load_yaml(path);
  Node base;
  base.kind = Node::Kind::kMap;
  const auto extends =
      std::find_if(top.entries.begin(), top.entries.end(), [](const auto& entry) { return entry.first == "extends"; });
  if (extends != top.entries.end()) {
    const Node value = extends->second;
    top.entries.erase(extends);
    if (value.kind != Node::Kind::kScalar && value.kind != Node::Kind::kSequence)
      throw ConfigError(value.where() + ": extends: expected a file name or a list of them");
    const std::vector<Node> files = value.kind == Node::Kind::kScalar ? std::vector<Node>{value} : value.items;
    for (const Node& file : files) merge(base, load_extended(path.parent_path() / file.scalar, seen));
  }
  seen.pop_back();
  merge(base, std::move(top));
  return base;
}

}  // namespace

void merge(Node& base, Node top) {
  if (base.kind != Node::Kind::kMap || top.kind != Node::Kind::kMap) {
    base = std::move(top);
    return;
  }
  for (auto& [key, value] : top.entries) {
    if (Node* existing = base.find(key))
      merge(*existing, std::move(value));
    else
      base.entries.emplace_back(key, std::move(value));
  }
}

Node parse_yaml(const std::string& text, const std::string& name) {
  try {
    return convert(YAML::Load(text), name, 0);
  } catch (const YAML::Exception& error) {
    throw ConfigError(fmt::format("{}:{}: broken YAML: {}", name, error.mark.line + 1, error.msg));
  }
}

Node load_yaml(const std::filesystem::path& path) {
  constexpr std::uint64_t kMaxBytes = 16 << 20;
  std::string text;
  try {
    text = read_file(path, kMaxBytes);
  } catch (const DataError& error) {
    throw ConfigError(error.what());
  }
  return parse_yaml(text, path.string());
}

void apply_override(Node& root, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw ConfigError(fmt::format("command line: found '{}', expected key.path=value", text));
  Node value = parse_yaml(text.substr(equals + 1), "command line");
  value.line = 0;
  Node* at = &root;
  for (const auto& key : split(text.substr(0, equals), '.')) {
    if (at->kind == Node::Kind::kSequence) {
      const bool number = !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!number || std::stoul(key) >= at->items.size())
        throw ConfigError(
            fmt::format("command line: {}: '{}' is no entry of a list of {}", text, key, at->items.size()));
      at = &at->items[std::stoul(key)];
      continue;
    }
    if (at->kind != Node::Kind::kMap) {
      *at = Node{};
      at->kind = Node::Kind::kMap;
      at->file = "command line";
    }
    if (Node* next = at->find(key)) {
      at = next;
    } else {
      at->entries.emplace_back(key, Node{});
      at = &at->entries.back().second;
    }
  }
  *at = std::move(value);
}

Node load_tree(const std::filesystem::path& path, std::span<const std::string> overrides) {
  Node root;
  root.kind = Node::Kind::kMap;
  if (!path.empty()) {
    std::vector<std::filesystem::path> seen;
    root = load_extended(path, seen);
    if (root.kind != Node::Kind::kMap)
      throw ConfigError(path.string() + ": found no keys, expected a configuration as in configs/");
  }
  for (const auto& text : overrides) apply_override(root, text);
  return root;
}

}  // namespace capstan::config
