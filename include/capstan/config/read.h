// Strict reading of a parsed tree into structs that describe their fields (core/fields.h).
// Unknown keys, wrong types and values out of range are collected, not thrown, so that all are said at once.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "capstan/config/component.h"
#include "capstan/config/node.h"
#include "capstan/core/fields.h"

namespace capstan::config {

// Scalars. `path` is the dotted key for messages; on a problem `value` keeps its default.
void read_value(const Node& node, const std::string& path, bool& value, const Limits& limits, Problems& problems);
void read_value(const Node& node, const std::string& path, int& value, const Limits& limits, Problems& problems);
void read_value(const Node& node, const std::string& path, std::int64_t& value, const Limits& limits,
                Problems& problems);
void read_value(const Node& node, const std::string& path, double& value, const Limits& limits, Problems& problems);
void read_value(const Node& node, const std::string& path, std::string& value, const Limits& limits,
                Problems& problems);
void read_value(const Node& node, const std::string& path, Component& value, const Limits& limits, Problems& problems);

// The problem of a value that is not what `expected` says.
void report_type(const Node& node, const std::string& path, const std::string& expected, Problems& problems);
void report_unknown_keys(const Node& node, const std::string& path, const std::vector<std::string>& known,
                         Problems& problems);

class FieldReader;

template <class T>
concept HasCheck = requires(const T& value, std::vector<std::string>& problems) { value.check(problems); };

template <class T>
void read(const Node& node, T& value, Problems& problems, const std::string& path = "");

template <class T>
void read_value(const Node& node, const std::string& path, std::vector<T>& values, const Limits& limits,
                Problems& problems) {
  if (node.kind != Node::Kind::kSequence) return report_type(node, path, "a list as in [a, b]", problems);
  values.clear();
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    T value{};
    read_value(node.items[i], path + "." + std::to_string(i), value, limits, problems);
    values.push_back(std::move(value));
  }
}

template <class T>
void read_value(const Node& node, const std::string& path, std::optional<T>& value, const Limits& limits,
                Problems& problems) {
  if (node.kind == Node::Kind::kNull) return value.reset();
  T inner{};
  read_value(node, path, inner, limits, problems);
  value = std::move(inner);
}

// A nested struct.
template <class T>
  requires requires(T& value, FieldReader& reader) { value.fields(reader); }
void read_value(const Node& node, const std::string& path, T& value, const Limits&, Problems& problems) {
  read(node, value, problems, path);
}

// The visitor: offers each field its part of the tree and remembers which keys exist.
class FieldReader {
 public:
  FieldReader(const Node& node, std::string path, Problems& problems)
      : node_(node), path_(std::move(path)), problems_(problems) {}

  template <class T>
  void operator()(const char* key, T& value, const char*, const Limits& limits = {}) {
    known_.emplace_back(key);
    if (const Node* child = node_.find(key)) read_value(*child, join(key), value, limits, problems_);
  }
  void finish() { report_unknown_keys(node_, path_, known_, problems_); }

 private:
  std::string join(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  const Node& node_;
  std::string path_;
  Problems& problems_;
  std::vector<std::string> known_;
};

template <class T>
void read(const Node& node, T& value, Problems& problems, const std::string& path) {
  if (node.kind != Node::Kind::kMap && node.kind != Node::Kind::kNull)
    return report_type(node, path, "keys and values", problems);
  FieldReader reader(node, path, problems);
  value.fields(reader);
  reader.finish();
  if constexpr (HasCheck<T>) {
    std::vector<std::string> relations;
    value.check(relations);
    for (const auto& relation : relations) problems.add(node, path.empty() ? relation : path + ": " + relation);
  }
}

}  // namespace capstan::config
