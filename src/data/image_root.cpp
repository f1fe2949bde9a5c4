#include "data/image_root.h"

#include <fmt/format.h>

#include <algorithm>

#include "capstan/core/error.h"

namespace capstan {

namespace fs = std::filesystem;

namespace {

std::string with_slash(const fs::path& folder) {
  std::string text = folder.string();
  if (text.empty() || text.back() != '/') text += '/';
  return text;
}

bool climbs(std::string_view name) {
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    if (name.substr(start, end - start) == "..") return true;
    start = end + 1;
  }
  return false;
}

}  // namespace

ImageRoot::ImageRoot(fs::path folder, std::string_view named_by, std::string_view option)
    : folder_(folder.empty() ? fs::path(".") : std::move(folder)) {
  if (!fs::is_directory(folder_))
    throw DataError(
        fmt::format("{}: the image folder does not exist; expected the pictures that {} names. Unpack "
                    "them there or correct '{}'",
                    folder_.string(), named_by, option));
  absolute_ = with_slash(fs::absolute(folder_).lexically_normal());
  canonical_ = with_slash(fs::canonical(folder_));
}

bool ImageRoot::holds(const std::string& absolute) const {
  const std::string normal = fs::path(absolute).lexically_normal().string();
  return normal.starts_with(absolute_) || normal.starts_with(canonical_);
}

ImageRoot::Found ImageRoot::find(const std::string& name) const {
  if (name.empty()) return {.problem = "the file name is empty"};
  if (name.find('\0') != std::string::npos || climbs(name)) return {.problem = "the file name leaves the image folder"};
  if (name.find("://") != std::string::npos)
    return {.problem = "the picture is a web address; download it and name the file"};
  if (name.front() != '/') return {.file = folder_ / name};
  if (!holds(name)) return {.problem = "the file name leaves the image folder"};
  return {.file = name};
}

}  // namespace capstan
