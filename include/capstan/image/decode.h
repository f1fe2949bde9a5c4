// Picture files to pixels as users' Python sees them: EXIF orientation applied, greyscale, palette, CMYK and
// 16-bit converted to 8-bit RGB, transparency laid over a background.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "capstan/core/fields.h"
#include "capstan/image/image.h"

namespace capstan {

// `jpeg: exact` gave the very bytes of Pillow 13 for all photos tried. `fast`, measured on 100 photos of COCO (640 x
// 480, 150 kB) resized to 224 x 224: 43 were shrunk; decoding all took 0.89 of the time (every bit of the file is still
// read) and resizing about half; the shrunk ones changed by 1.5 grey levels on average (bilinear; bicubic 1.7), 6
// in the worst photo.
struct DecodeOptions {
  std::int64_t max_pixels = 100'000'000;  // refused by the header, before memory is taken
  int background = 255;                   // grey level under transparent pixels
  std::string jpeg = "exact";

  template <class Visitor>
  void fields(Visitor& v) {
    v("max_pixels", max_pixels, "Pictures with more pixels are refused.", at_least(1));
    v("background", background, "Grey level under transparent pixels: 0 black, 255 white.", between(0, 255));
    v("jpeg", jpeg,
      "exact: every pixel, as Pillow decodes it. fast: JPEGs of twice the wanted size and more are shrunk to a half, a "
      "quarter or an eighth while they are decoded.",
      one_of({"exact", "fast"}));
  }
};

// What a picture is going to be resized to; `jpeg: fast` decodes no more than that. 0: every pixel is wanted.
struct WantedSize {
  int height = 0;
  int width = 0;
};

// DataError names `name`, what was found and what was expected. Decoding takes at most 1 GiB beyond `bytes`, and
// JPEGs with so many scans that they would take seconds are refused.
Image decode_image(std::span<const std::byte> bytes, std::string_view name, const DecodeOptions& options = {},
                   WantedSize wanted = {});
Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {}, WantedSize wanted = {});

// Baseline JPEG of `image`; quality 1..100.
std::string encode_jpeg(const Image& image, int quality);

}  // namespace capstan
