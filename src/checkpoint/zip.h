// The directory of a zip archive whose entries are stored without compression, as torch.save writes them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace capstan {

struct ZipEntry {
  std::uint64_t offset = 0;  // of its content in the file
  std::uint64_t size = 0;
};

bool is_zip(std::span<const std::byte> file);

// Every entry, found through the central directory (64-bit sizes included): afterwards each lies inside `file` and
// none overlaps another. Checksums are not compared: that would read the whole file. CheckpointError names `path`.
std::map<std::string, ZipEntry> read_stored_zip(std::span<const std::byte> file, const std::string& path);

}  // namespace capstan
