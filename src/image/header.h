// What a picture file says about itself before anything is decoded.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "image/bytes.h"

namespace capstan::image_io {

enum class Format { kJpeg, kPng, kGif, kBmp, kWebp, kTiff, kPnm };

// What decoding one picture may take at once: the library's samples or coefficients and our pixels.
inline constexpr std::int64_t kMaxDecodeBytes = std::int64_t{1} << 30;

struct Header {
  Format format = Format::kJpeg;
  std::int64_t width = 0;
  std::int64_t height = 0;
  int orientation = 1;  // EXIF, 1 to 8
  // PNG without alpha channel: the grey level or colour that stands for "transparent", at the file's bit depth.
  std::optional<std::array<std::uint32_t, 3>> transparent;
  int bit_depth = 8;        // of PNG
  int bytes_per_pixel = 4;  // of what the decoder hands over, at most; not of JPEG and GIF
};

// What is wrong with a file, without its name: "corrupt JPEG: ...".
class HeaderError {
 public:
  explicit HeaderError(std::string text) : text_(std::move(text)) {}
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Recognises the format by its first bytes and reads size and orientation. HeaderError for formats that are not
// read, for sizes of zero, and for files that are cut short where the format lets us see it.
Header read_header(Bytes data);
std::string_view format_name(Format format);

// One per format; the caller has seen the signature.
Header read_jpeg_header(Bytes data);
Header read_png_header(Bytes data);
Header read_gif_header(Bytes data);
Header read_bmp_header(Bytes data);
Header read_webp_header(Bytes data);
Header read_tiff_header(Bytes data);
Header read_pnm_header(Bytes data);

// A PNG with nothing but size, palette, transparency and pixels: colour profiles and texts change no pixel here, but
// make libpng print warnings or inflate what nobody asked for.
std::string png_essentials(Bytes data);

// Orientation in an EXIF block that begins with its TIFF header; 1 when there is none or it makes no sense.
int exif_orientation(Bytes tiff);
// First value of `tag` in the first directory of a TIFF structure.
std::optional<std::uint32_t> tiff_value(Bytes tiff, std::uint32_t tag);

}  // namespace capstan::image_io
