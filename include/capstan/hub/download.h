// Many files from HTTP servers at a time: resumed, checked, tried again, and only then given their names.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "capstan/hub/digest.h"

namespace capstan::hub {

struct Download {
  std::string name;  // in messages and progress
  std::string url;
  std::filesystem::path file;  // on its way it is called `<file>.incomplete`
  std::optional<std::uint64_t> size{};
  Checksum checksum{};
  std::string page{};  // where access is asked for, when it is refused
};

struct DownloadOptions {
  std::string token;  // sent to the origin of `endpoint`, never to another
  std::string token_source;
  std::string endpoint;
  int connections = 4;
  int retries = 6;         // in a row without getting further
  double first_pause = 1;  // seconds before the first of them; doubles
  double timeout = 60;     // seconds without a byte until a connection counts as cut
};

// Returns when every file is in place. DataError on the first that cannot be had; the others keep what they have, and
// the same call goes on. Checks for space on the disk first. Stops when stop_requested().
void download(std::span<const Download> downloads, const DownloadOptions& options);

}  // namespace capstan::hub
