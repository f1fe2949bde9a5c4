#include "data/shard_pattern.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::size_t kMaxShards = 1'000'000;
constexpr std::size_t kMaxDigits = 12;

bool is_number(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  return !digits.empty() && digits.size() <= kMaxDigits && digits.find_first_not_of("0123456789") == digits.npos;
}

[[noreturn]] void too_many(const std::string& pattern) {
  throw DataError(fmt::format("{}: stands for more than {} files; use a pattern with *", pattern, kMaxShards));
}

// "07..12": numbers as wide as the wider end when one begins with 0; descending when the ends do.
std::optional<std::vector<std::string>> expand_range(std::string_view inside, const std::string& pattern) {
  const std::size_t dots = inside.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = inside.substr(0, dots), last = inside.substr(dots + 2);
  if (!is_number(first) || !is_number(last)) return std::nullopt;
  const auto padded = [](std::string_view text) { return text.size() > 1 && text.front() == '0'; };
  const std::size_t width = padded(first) || padded(last) ? std::max(first.size(), last.size()) : 0;
  const std::int64_t from = std::stoll(std::string(first)), to = std::stoll(std::string(last));
  if (static_cast<std::size_t>(std::llabs(to - from)) >= kMaxShards) too_many(pattern);
  std::vector<std::string> numbers;
  for (std::int64_t n = from;; n += from <= to ? 1 : -1) {
    numbers.push_back(fmt::format("{:0{}}", n, width));
    if (n == to) return numbers;
  }
}

// The parts between the commas of the outermost braces; nothing when there is no comma.
std::optional<std::vector<std::string>> split_choices(std::string_view inside) {
  std::vector<std::string> choices(1);
  int depth = 0;
  for (const char c : inside) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ',' && depth == 0)
      choices.emplace_back();
    else
      choices.back() += c;
  }
  if (choices.size() == 1) return std::nullopt;
  return choices;
}

std::size_t closing_brace(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return i;
  }
  return std::string_view::npos;
}

void expand(const std::string& done, std::string_view rest, const std::string& pattern,
            std::vector<std::string>& result) {
  for (std::size_t open = rest.find('{'); open != rest.npos; open = rest.find('{', open + 1)) {
    const std::size_t close = closing_brace(rest, open);
    if (close == rest.npos) continue;
    const std::string_view inside = rest.substr(open + 1, close - open - 1);
    auto choices = expand_range(inside, pattern);
    const bool nested = !choices;
    if (nested) choices = split_choices(inside);
    if (!choices) continue;
    const std::string before = done + std::string(rest.substr(0, open));
    for (const std::string& choice : *choices) {
      if (nested)  // a choice may hold braces itself
        expand(before, choice + std::string(rest.substr(close + 1)), pattern, result);
      else
        expand(before + choice, rest.substr(close + 1), pattern, result);
    }
    return;
  }
  if (result.size() == kMaxShards) too_many(pattern);
  result.push_back(done + std::string(rest));
}

std::vector<std::string> find_glob(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> freed(&found, ::globfree);
  if (status != 0 && status != GLOB_NOMATCH) throw DataError(fmt::format("{}: cannot look for files", pattern));
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  if (files.empty()) throw DataError(fmt::format("{}: no file matches", pattern));
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern) {
  std::vector<std::string> result;
  expand("", pattern, pattern, result);
  return result;
}

std::vector<std::string> find_shards(const std::string& pattern) {
  if (pattern.starts_with("pipe:") || pattern.find("://") != std::string::npos)
    throw DataError(
        fmt::format("{}: shards are read from local files; download them first and name the files", pattern));
  std::vector<std::string> files;
  for (const std::string& name : expand_braces(pattern)) {
    if (std::filesystem::exists(name)) {
      files.push_back(name);
    } else if (name.find_first_of("*?[") != name.npos) {
      for (std::string& file : find_glob(name)) files.push_back(std::move(file));
    } else {
      throw DataError(fmt::format("{}: does not exist; correct 'shards', which is {}", name, pattern));
    }
  }
  return files;
}

}  // namespace capstan
