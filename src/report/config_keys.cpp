#include "capstan/report/config_keys.h"

#include <map>

#include "capstan/config/write.h"

namespace capstan::report {
namespace {

void add(const config::Node& node, const std::string& path, FlatConfig& flat) {
  if (node.kind != config::Node::Kind::kMap || node.entries.empty()) {
    flat.emplace_back(path, config::format_value(node));
    return;
  }
  for (const auto& [key, value] : node.entries) add(value, path.empty() ? key : path + "." + key, flat);
}

}  // namespace

FlatConfig flatten(const config::Node& root) {
  FlatConfig flat;
  if (root.kind != config::Node::Kind::kNull) add(root, "", flat);
  return flat;
}

std::vector<KeyDifference> differences(const FlatConfig& a, const FlatConfig& b) {
  constexpr const char* kMissing = "(not set)";
  std::map<std::string, std::string> others(b.begin(), b.end());
  std::vector<KeyDifference> found;
  for (const auto& [key, value] : a) {
    const auto other = others.find(key);
    const std::string text = other == others.end() ? kMissing : other->second;
    if (text != value) found.push_back({key, value, text});
    if (other != others.end()) others.erase(other);
  }
  for (const auto& [key, value] : b)
    if (others.contains(key)) found.push_back({key, kMissing, value});
  return found;
}

}  // namespace capstan::report
