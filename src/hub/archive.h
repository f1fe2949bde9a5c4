// Zip files to folders, carefully: their names come from elsewhere.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace capstan::hub {

struct Unpacked {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t kept = 0;  // files that were there already with the same size
};

// Unpacks regular files whose name matches `pattern` ("" for all) below `folder`; names that lead out of it, links and
// devices are a DataError before anything is written. Each file gets its name when it is whole, so the same call goes
// on after an interruption. Checks the space on the disk and each file's checksum.
Unpacked unpack(const std::filesystem::path& archive, const std::filesystem::path& folder, const std::string& pattern);

}  // namespace capstan::hub
