#include "caption/names.h"

#include <algorithm>

namespace capstan::cli {

NameList::NameList(const fs::path& directory, std::error_code& error) {
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code unknown;  // of an entry that has gone meanwhile: it counts as a file, and opening it says so
    const bool is_folder = entry->is_directory(unknown);
    if (is_folder && entry->is_symlink(unknown)) continue;
    starts_.push_back(text_.size());
    text_ += is_folder ? kFolder : kFile;
    text_ += entry->path().filename().native();
    text_ += '\0';
  }
  if (error) starts_.clear();
  std::sort(starts_.begin(), starts_.end(), [&](std::uint64_t a, std::uint64_t b) {
    return std::string_view(text_.data() + a + 1) < std::string_view(text_.data() + b + 1);
  });
}

}  // namespace capstan::cli
