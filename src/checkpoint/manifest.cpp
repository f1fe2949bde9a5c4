#include "capstan/checkpoint/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "capstan/core/version.h"

namespace capstan {
namespace {

constexpr const char* kFileName = "manifest.json";
constexpr const char* kFormat = "capstan-checkpoint";
constexpr int kVersion = 1;

std::vector<fs::path> files_below(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(directory));
  std::sort(files.begin(), files.end());
  return files;
}

// Empty when the file is as listed. `entry` is checked too: a manifest may be damaged itself.
std::string problem_with(const fs::path& directory, const std::string& name, const nlohmann::json& entry) {
  if (!entry.is_object() || !entry.contains("bytes") || !entry["bytes"].is_number_unsigned() ||
      !entry.contains("checksum") || !entry["checksum"].is_string())
    return fmt::format("{}: the entry of {} has no size or checksum", kFileName, name);
  const fs::path path = directory / name;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return fmt::format("{} is missing", name);
  const auto found = fs::file_size(path, error);
  const auto expected = entry["bytes"].get<std::uint64_t>();
  if (error || found != expected) return fmt::format("{} has {} bytes, expected {}", name, found, expected);
  const std::string checksum = found == 0 ? checksum_bytes("") : checksum_file(path);
  if (checksum != entry["checksum"].get<std::string>()) return fmt::format("{} has another checksum", name);
  return "";
}

}  // namespace

void write_manifest(const fs::path& directory) {
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  for (const fs::path& file : files_below(directory)) {
    if (file == kFileName) continue;
    const std::uint64_t bytes = fs::file_size(directory / file);
    files[file.generic_string()] = {{"bytes", bytes},
                                    {"checksum", bytes == 0 ? checksum_bytes("") : checksum_file(directory / file)}};
  }
  write_json(directory / kFileName,
             {{"format", kFormat}, {"version", kVersion}, {"capstan", version()}, {"files", files}});
}

std::vector<std::string> verify_manifest(const fs::path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) return {"the folder is missing"};
  if (!fs::is_regular_file(directory / kFileName, error)) return {fmt::format("{} is missing", kFileName)};
  nlohmann::json manifest;
  try {
    manifest = read_json(directory / kFileName);
  } catch (const Error& problem) {
    return {problem.what()};
  }
  if (!manifest.is_object() || manifest.value("format", "") != kFormat || !manifest.contains("files"))
    return {fmt::format("{} is not a manifest of format '{}'", kFileName, kFormat)};
  if (manifest.value("version", 0) > kVersion)
    return {fmt::format("{} has version {}, this program reads up to {}", kFileName, manifest.value("version", 0),
                        kVersion)};
  std::vector<std::string> problems;
  for (const auto& [name, entry] : manifest["files"].items())
    if (std::string problem = problem_with(directory, name, entry); !problem.empty()) problems.push_back(problem);
  return problems;
}

}  // namespace capstan
