#include "capstan/nn/patterns.h"

#include <fmt/format.h>

#include <set>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan {
namespace {

constexpr std::string_view kRegexPrefix = "regex:";
constexpr std::string_view kRegexCharacters = "*+?()[]{}|^$\\";

std::regex compile(const std::string& expression, const std::string& whole) {
  try {
    return std::regex(expression);
  } catch (const std::regex_error& error) {
    throw ConfigError(fmt::format("'{}': not a regular expression: {}", whole, error.what()));
  }
}

// Greedy matching with one place to come back to: the last star.
bool matches_glob(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

NamePattern::NamePattern(std::string text) : text_(std::move(text)) {
  if (text_.starts_with(kRegexPrefix)) regex_ = compile(text_.substr(kRegexPrefix.size()), text_);
}

bool NamePattern::matches(std::string_view name) const {
  if (regex_) return std::regex_match(name.begin(), name.end(), *regex_);
  if (text_.find_first_of("*?") != std::string::npos) return matches_glob(text_, name);
  return name == text_ || (name.starts_with(text_) && !text_.empty() && name[text_.size()] == '.');
}

bool selects_module(const std::string& entry, const std::string& name) {
  if (entry.find_first_of(kRegexCharacters) != std::string::npos) return std::regex_match(name, compile(entry, entry));
  return name == entry || name.ends_with("." + entry);
}

std::string nearest_name(std::string_view asked, const std::vector<std::string>& names) {
  std::set<std::string> parts;
  for (const std::string& name : names) {
    parts.insert(name);
    for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      parts.insert(name.substr(0, dot));
      parts.insert(name.substr(dot + 1));
    }
    for (const std::string& part : split(name, '.')) parts.insert(part);
  }
  return did_you_mean(asked, std::vector<std::string>(parts.begin(), parts.end()));
}

}  // namespace capstan
