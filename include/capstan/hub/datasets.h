// Data sets known by name: where they are published, how large they are, and what they become.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace capstan::hub {

struct DatasetFile {
  const char* split;  // "train", "validation" or "annotations"
  const char* url;
  std::uint64_t bytes;   // 0: not known
  const char* checksum;  // "md5:<hex>" or "sha256:<hex>"
  const char* only;      // pattern of the entries to unpack; "": all
};

struct Dataset {
  std::string name;
  std::string year;     // "" when there is one only
  std::string summary;  // for lists
  std::string folder;   // where it goes without to=
  std::string note;     // what has to be known or done by hand; "" nothing
  std::vector<DatasetFile> files;

  std::vector<std::string> splits() const;  // each once, in order
};

std::span<const Dataset> datasets();
std::vector<std::string> dataset_names();  // each once

}  // namespace capstan::hub
