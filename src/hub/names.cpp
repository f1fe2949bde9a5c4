#include "capstan/hub/names.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <vector>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"

namespace capstan::hub {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

// The rules of the Hub for one part of a repository's name.
bool is_repository_part(std::string_view part) {
  if (part.empty() || part.size() > 96) return false;
  for (const char c : part)
    if (!is_plain(c)) return false;
  const char first = part.front(), last = part.back();
  return first != '-' && first != '.' && last != '-' && last != '.' && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos;
}

}  // namespace

std::string name_problem(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.front() == '/') return "is an absolute path";
  if (name.find('\\') != std::string_view::npos) return "holds a backslash";
  for (const char c : name)
    if (is_control(c)) return "holds a control character";
  if (!is_valid_utf8(name)) return "is not UTF-8";
  for (const auto& part : split(name, '/')) {
    if (part == "..") return "leads out of the folder";
    if (part.empty() || part == ".") return "has an empty part";
    if (part.size() > 255) return "has a part of more than 255 bytes";
  }
  return "";
}

void check_file_name(std::string_view name, std::string_view where) {
  const std::string problem = name_problem(name);
  if (!problem.empty())
    throw DataError(
        fmt::format("{}: the file name '{}' {}; expected a name below a folder", where, printable(name), problem));
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string safe(text.substr(0, limit));
  while (!safe.empty() && !is_valid_utf8(safe) && is_valid_utf8(text)) safe.pop_back();  // cut inside a character
  const bool valid = is_valid_utf8(safe);
  for (char& c : safe)
    if (is_control(c) || (!valid && static_cast<unsigned char>(c) >= 0x80)) c = '?';
  return safe;
}

std::string escape_url(std::string_view text, bool keep_slash) {
  std::string escaped;
  for (const char c : text) {
    if (is_plain(c) || c == '~' || (keep_slash && c == '/'))
      escaped += c;
    else
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return escaped;
}

std::string public_url(std::string_view url) {
  std::string text(url.substr(0, url.find_first_of("?#")));
  const std::size_t host = text.find("://");
  if (host == std::string::npos) return printable(text);
  const std::size_t slash = text.find('/', host + 3);
  const std::size_t at = text.rfind('@', slash);
  if (at != std::string::npos && at > host) text.erase(host + 3, at - host - 2);
  return printable(text);
}

bool matches_any(const std::string& name, std::span<const std::string> patterns) {
  for (const auto& pattern : patterns) {
    const std::string whole = pattern.ends_with('/') ? pattern + "*" : pattern;
    if (::fnmatch(whole.c_str(), name.c_str(), 0) == 0) return true;
  }
  return false;
}

std::string Repository::cache_folder() const { return kind + "s--" + join(split(id, '/'), "--"); }

Repository parse_repository(std::string_view text, const std::string& endpoint) {
  std::string_view rest = text;
  if (rest.starts_with(endpoint + "/")) rest.remove_prefix(endpoint.size() + 1);
  Repository repository;
  if (rest.starts_with("datasets/")) {
    repository.kind = "dataset";
    rest.remove_prefix(std::string_view("datasets/").size());
  } else if (rest.starts_with("models/")) {
    rest.remove_prefix(std::string_view("models/").size());
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::vector<std::string> parts = split(rest, '/');
  bool good = parts.size() <= 2;
  for (const auto& part : parts) good = good && is_repository_part(part);
  if (!good)
    throw UsageError(
        fmt::format("'{}' is no name of a repository; expected OWNER/NAME, datasets/OWNER/NAME, or a page below {}",
                    printable(text), endpoint));
  repository.id = rest;
  return repository;
}

}  // namespace capstan::hub
