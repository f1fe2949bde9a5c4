// manifest.json of a checkpoint: every file with its size and checksum, so that a torn or altered folder is noticed.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace capstan {

// Lists every file below `directory` except the manifest itself. Written last, so a manifest means "complete".
void write_manifest(const std::filesystem::path& directory);

// One sentence per file that is missing, of another size or of another content, naming the file; empty when all is
// well. A folder without a readable manifest is one such sentence. Reads every byte.
std::vector<std::string> verify_manifest(const std::filesystem::path& directory);

}  // namespace capstan
