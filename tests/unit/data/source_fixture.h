// Short ways to read a configured source in a test, and a folder to write its files in.
#pragma once
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "capstan/config/load.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/data/source.h"
#include "support/catch.h"

namespace capstan::testing {

struct Reading {
  std::vector<CaptionedImage> images;
  std::vector<LedgerEntry> ledger;

  // The captions of each picture by its name.
  std::map<std::string, std::vector<std::string>> captions() const {
    std::map<std::string, std::vector<std::string>> result;
    for (const CaptionedImage& image : images) result[image.name] = image.captions;
    return result;
  }
  std::map<std::string, std::string> splits() const {
    std::map<std::string, std::string> result;
    for (const CaptionedImage& image : images) result[image.name] = image.split;
    return result;
  }
  // "captions.csv:3: the caption is empty", without the folder.
  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    for (const LedgerEntry& entry : ledger)
      result.push_back(entry.file.substr(entry.file.rfind('/') + 1) + ": " + entry.reason);
    return result;
  }
};

inline std::unique_ptr<CaptionSource> make_source(const std::string& name, const std::string& yaml) {
  config::Problems problems;
  auto source = sources().find(name).make(config::parse_yaml(yaml, "test.yaml"), problems);
  problems.throw_if_any();
  return source;
}

inline Reading read_all(const CaptionSource& source) {
  Reading reading;
  source.read([&](CaptionedImage image) { reading.images.push_back(std::move(image)); }, reading.ledger);
  return reading;
}

inline Reading read_source(const std::string& name, const std::string& yaml) {
  return read_all(*make_source(name, yaml));
}

// A folder with files; `$` in YAML stands for it.
class Files {
 public:
  Files() = default;
  explicit Files(const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [name, bytes] : files) write(name, bytes);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  void write(const std::string& name, const std::string& bytes) const {
    fs::create_directories((path() / name).parent_path());
    write_file_atomic(path() / name, bytes);
  }
  const fs::path& path() const { return folder_.path(); }
  Reading read(const std::string& source, const std::string& yaml) const { return read_source(source, fill_in(yaml)); }
  std::string fill_in(std::string yaml) const {
    for (std::size_t at = yaml.find('$'); at != std::string::npos; at = yaml.find('$', at))
      yaml.replace(at, 1, path().string());
    return yaml;
  }

 private:
  TempDir folder_;
};

// The files by name: files_with({{"a.csv", "image,caption\n"}}).
inline Files files_with(std::initializer_list<std::pair<std::string, std::string>> contents) {
  return Files(std::vector(contents));
}

}  // namespace capstan::testing
