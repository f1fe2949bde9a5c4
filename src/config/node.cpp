#include "capstan/config/node.h"

#include <fmt/format.h>

#include "capstan/core/error.h"

namespace capstan::config {

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

std::string Node::where() const {
  const int shown = key_line != 0 ? key_line : line;
  return shown == 0 ? file : fmt::format("{}:{}", file, shown);
}

void Problems::add(const Node& at, const std::string& text) {
  add(at.where().empty() ? text : at.where() + ": " + text);
}

void Problems::add(const std::string& text) { lines_.push_back(text); }

void Problems::throw_if_any() const {
  if (lines_.empty()) return;
  std::string message;
  if (lines_.size() > 1) message = fmt::format("{} problems in the configuration:\n", lines_.size());
  for (const auto& line : lines_) message += (lines_.size() > 1 ? "  " : "") + line + "\n";
  message.pop_back();
  throw ConfigError(message);
}

}  // namespace capstan::config
