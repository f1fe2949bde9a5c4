#include "capstan/config/write.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "capstan/core/strings.h"

namespace capstan::config {
namespace {

// Whether plain `text` would come back as the same string.
bool is_plain_string(const std::string& text) {
  if (text.empty() || text == "null" || text == "true" || text == "false" || text == "~") return false;
  if (trim(text).size() != text.size()) return false;
  const std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  if (text.find_first_not_of(allowed) != std::string::npos || text.front() == '-') return false;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return end != text.c_str() + text.size();
}

std::string quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\t':
        quoted += "\\t";
        break;
      case '\r':
        quoted += "\\r";
        break;
      // "${" must not be taken for an environment variable when the file is read again.
      case '$':
        quoted += "$$";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
          quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace

std::string format_value(bool value) { return value ? "true" : "false"; }
std::string format_value(std::int64_t value) { return fmt::format("{}", value); }
std::string format_value(double value) { return fmt::format("{}", value); }
std::string format_value(const std::string& value) { return is_plain_string(value) ? value : quote(value); }

std::string format_value(const Node& value) {
  switch (value.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kScalar:
      return value.quoted || value.scalar.empty()                                      ? quote(value.scalar)
             : is_plain_string(value.scalar)                                           ? value.scalar
             : value.scalar.find_first_of(" :#{}[],&*!|>'\"%@`$") == std::string::npos ? value.scalar
                                                                                       : quote(value.scalar);
    case Node::Kind::kSequence:
      return format_value(value.items);
    case Node::Kind::kMap: {
      std::string text = "{";
      for (const auto& [key, entry] : value.entries)
        text += (text.size() > 1 ? ", " : "") + format_value(key) + ": " + format_value(entry);
      return text + "}";
    }
  }
  return "null";
}

std::string format_value(const Component& value) {
  if (value.config.kind == Node::Kind::kNull) return format_value(value.name);
  return "{name: " + format_value(value.name) + ", config: " + format_value(value.config) + "}";
}

std::string describe_type(const char* type, const Limits& limits) {
  std::string text = type;
  if (!limits.choices.empty()) return text + ": " + join(limits.choices, ", ");
  const bool has_min = std::isfinite(limits.min), has_max = std::isfinite(limits.max);
  if (has_min) text += fmt::format(", {} {}", limits.above_min ? "more than" : "at least", limits.min);
  if (has_max) text += fmt::format(", at most {}", limits.max);
  return text;
}

void YamlWriter::begin_section(const char* key, const char* doc) {
  text_ += std::string(static_cast<std::size_t>(indent_), ' ') + key + ":" +
           (comments_ ? fmt::format("  # {}", doc) : "") + "\n";
}

void YamlWriter::line(const char* key, const std::string& value, const char* doc) {
  text_ += fmt::format("{}{}: {}{}\n", std::string(static_cast<std::size_t>(indent_), ' '), key, value,
                       comments_ ? fmt::format("  # {}", doc) : "");
}

void TableWriter::row(const std::string& name, const std::string& type, const std::string& value, const char* doc) {
  text_ += fmt::format("| `{}` | {} | `{}` | {} |\n", name, type, value, doc);
}

}  // namespace capstan::config
