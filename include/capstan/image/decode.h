// Picture files to pixels as users' Python sees them: EXIF orientation applied, greyscale, palette, CMYK and
// 16-bit converted to 8-bit RGB, transparency laid over a background.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "capstan/image/image.h"

namespace capstan {

struct DecodeOptions {
  std::int64_t max_pixels = 100'000'000;  // refused by the header, before memory is taken
  std::uint8_t background = 255;          // grey level under transparent pixels
};

// DataError names `name`, what was found and what was expected.
Image decode_image(std::span<const std::byte> bytes, std::string_view name, const DecodeOptions& options = {});
Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {});

// Baseline JPEG of `image`; quality 1..100.
std::string encode_jpeg(const Image& image, int quality);

}  // namespace capstan
