// Small picture files and the pixels that Pillow gives for them (tools/golden/make_images.py).
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "capstan/core/files.h"
#include "capstan/image/decode.h"
#include "support/golden.h"

namespace capstan::testing {

inline std::vector<std::uint8_t> from_hex(const std::string& digits) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline Image golden_image(const nlohmann::json& entry) {
  return {.height = entry.at("height"), .width = entry.at("width"), .rgb = from_hex(entry.at("rgb"))};
}

inline std::filesystem::path fixture(const std::string& name) {
  return testing::source_dir() / "tests/fixtures/images" / name;
}

inline std::string fixture_bytes(const std::string& name) { return read_file(fixture(name)); }

inline Image decode(const std::string& bytes, const std::string& name, const DecodeOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes)), name, options);
}

}  // namespace capstan::testing
