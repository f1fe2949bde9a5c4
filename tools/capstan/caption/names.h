// The names in one folder, sorted, in as little memory as they need: about 30 bytes each for usual names.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "capstan/core/files.h"

namespace capstan::cli {

class NameList {
 public:
  // Entries of `directory`, sorted by their bytes. Links to files count as files; those to folders are left out, so
  // that a walk ends. `error` says when it cannot be read; then the list is empty.
  NameList(const fs::path& directory, std::error_code& error);

  std::size_t size() const { return starts_.size(); }
  std::string_view name(std::size_t index) const { return text_.data() + starts_[index] + 1; }
  bool is_folder(std::size_t index) const { return text_[starts_[index]] == kFolder; }

 private:
  static constexpr char kFolder = 'd', kFile = 'f';
  std::string text_;                   // kind, name, zero byte; again
  std::vector<std::uint64_t> starts_;  // where each begins
};

}  // namespace capstan::cli
