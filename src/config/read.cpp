#include "capstan/config/read.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "capstan/core/strings.h"

namespace capstan::config {
namespace {

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return fmt::format("'{}'", node.scalar);
    case Node::Kind::kSequence:
      return "a list";
    case Node::Kind::kMap:
      return "keys and values";
  }
  return "";
}

std::string describe_range(const Limits& limits) {
  const bool has_min = std::isfinite(limits.min), has_max = std::isfinite(limits.max);
  const char* const least = limits.above_min ? "more than" : "at least";
  if (has_min && has_max) return fmt::format("{} {} and at most {}", least, limits.min, limits.max);
  if (has_min) return fmt::format("{} {}", least, limits.min);
  return fmt::format("at most {}", limits.max);
}

bool within(double value, const Limits& limits) {
  return (limits.above_min ? value > limits.min : value >= limits.min) && value <= limits.max;
}

void check_range(const Node& node, const std::string& path, double value, const Limits& limits, Problems& problems) {
  if (!within(value, limits))
    problems.add(node, fmt::format("{}: found {}, expected {}", path, node.scalar, describe_range(limits)));
}

// A plain (unquoted) scalar, or nothing with the problem reported.
bool is_plain(const Node& node, const std::string& path, const char* expected, Problems& problems) {
  if (node.kind == Node::Kind::kScalar && !node.quoted) return true;
  report_type(node, path, expected, problems);
  return false;
}

template <class Integer>
void read_integer(const Node& node, const std::string& path, Integer& value, const Limits& limits, Problems& problems) {
  if (!is_plain(node, path, "an integer", problems)) return;
  Integer parsed{};
  const char* const begin = node.scalar.data();
  const char* const end = begin + node.scalar.size();
  const char* const first = node.scalar.starts_with('+') ? begin + 1 : begin;
  const auto result = std::from_chars(first, end, parsed);
  if (result.ec == std::errc::result_out_of_range)
    return problems.add(node, fmt::format("{}: found {}, which is too large for an integer", path, node.scalar));
  if (result.ec != std::errc() || result.ptr != end) return report_type(node, path, "an integer", problems);
  check_range(node, path, static_cast<double>(parsed), limits, problems);
  if (within(static_cast<double>(parsed), limits)) value = parsed;
}

}  // namespace

void report_type(const Node& node, const std::string& path, const std::string& expected, Problems& problems) {
  problems.add(node,
               fmt::format("{}{}found {}, expected {}", path, path.empty() ? "" : ": ", describe(node), expected));
}

void report_unknown_keys(const Node& node, const std::string& path, const std::vector<std::string>& known,
                         Problems& problems) {
  for (const auto& [key, value] : node.entries) {
    bool found = false;
    for (const auto& name : known) found = found || name == key;
    if (found) continue;
    const std::string full = path.empty() ? key : path + "." + key;
    const std::string hint = did_you_mean(key, known);
    problems.add(value, fmt::format("unknown key '{}'.{}", full,
                                    hint.empty() ? " Known here: " + join(known, ", ") + "." : hint));
  }
}

void read_value(const Node& node, const std::string& path, bool& value, const Limits&, Problems& problems) {
  if (!is_plain(node, path, "true or false", problems)) return;
  if (node.scalar == "true")
    value = true;
  else if (node.scalar == "false")
    value = false;
  else
    report_type(node, path, "true or false", problems);
}

void read_value(const Node& node, const std::string& path, int& value, const Limits& limits, Problems& problems) {
  read_integer(node, path, value, limits, problems);
}

void read_value(const Node& node, const std::string& path, std::int64_t& value, const Limits& limits,
                Problems& problems) {
  read_integer(node, path, value, limits, problems);
}

void read_value(const Node& node, const std::string& path, double& value, const Limits& limits, Problems& problems) {
  if (!is_plain(node, path, "a number", problems)) return;
  char* end = nullptr;
  errno = 0;
  const double parsed = std::strtod(node.scalar.c_str(), &end);
  const bool complete = !node.scalar.empty() && end == node.scalar.c_str() + node.scalar.size();
  if (!complete || !std::isfinite(parsed)) return report_type(node, path, "a number", problems);
  check_range(node, path, parsed, limits, problems);
  if (within(parsed, limits)) value = parsed;
}

void read_value(const Node& node, const std::string& path, std::string& value, const Limits& limits,
                Problems& problems) {
  if (node.kind != Node::Kind::kScalar) return report_type(node, path, "text", problems);
  if (!limits.choices.empty()) {
    bool allowed = false;
    for (const auto& choice : limits.choices) allowed = allowed || choice == node.scalar;
    if (!allowed)
      return problems.add(node, fmt::format("{}: found '{}', expected one of: {}.{}", path, node.scalar,
                                            join(limits.choices, ", "), did_you_mean(node.scalar, limits.choices)));
  }
  value = node.scalar;
}

void read_value(const Node& node, const std::string& path, Component& value, const Limits&, Problems& problems) {
  if (node.kind == Node::Kind::kScalar) {
    value.name = node.scalar;
    value.config = Node{};
    value.config.file = node.file;
    value.config.line = node.line;
    return;
  }
  if (node.kind != Node::Kind::kMap) return report_type(node, path, "a name, or name: and config:", problems);
  report_unknown_keys(node, path, {"name", "config"}, problems);
  const Node* name = node.find("name");
  if (name == nullptr || name->kind != Node::Kind::kScalar)
    return problems.add(node, fmt::format("{}: has no 'name', expected the name of a plug-in", path));
  value.name = name->scalar;
  if (const Node* config = node.find("config")) value.config = *config;
}

}  // namespace capstan::config
