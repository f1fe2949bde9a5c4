// Recognises picture files and reads the size of those formats whose header is a few fixed numbers.
#include "image/header.h"

#include <fmt/format.h>

#include <cstdlib>

namespace capstan::image_io {
namespace {

constexpr std::string_view kFormats = "JPEG, PNG, GIF, BMP, WebP, TIFF and PNM";

[[noreturn]] void too_short(Format format) {
  throw HeaderError(
      fmt::format("corrupt {}: the file ends before the end of the picture (cut short)", format_name(format)));
}

// First bytes of a file that is no picture, fit for a message.
std::string opening(Bytes data) {
  std::string text;
  for (const std::byte b : part(data, 0, 24)) {
    const char c = static_cast<char>(b);
    if (c < 0x20 || c > 0x7E) break;
    text += c;
  }
  return text.size() >= 4 ? fmt::format("begins with '{}'", text) : "has an unknown signature";
}

[[noreturn]] void unknown(Bytes data) {
  if (data.empty()) throw HeaderError("the file is empty");
  if (starts_with(data, "version https://git-lfs"))
    throw HeaderError("this is a Git LFS pointer, not the picture; fetch it with 'git lfs pull'");
  throw HeaderError(fmt::format("not a picture that can be read: it {}; expected {}", opening(data), kFormats));
}

bool is_pnm(Bytes data) {
  const auto kind = byte_at(data, 1);
  return starts_with(data, "P") && kind && *kind >= '1' && *kind <= '6' && data.size() > 2 &&
         std::strchr(" \t\r\n#", static_cast<char>(data[2])) != nullptr;
}

// Next decimal number of a PNM header; comments run from # to the end of the line.
std::int64_t pnm_number(Bytes data, std::size_t& at) {
  bool comment = false;
  for (; at < data.size(); ++at) {
    const char c = static_cast<char>(data[at]);
    if (c == '#') comment = true;
    if (c == '\n' || c == '\r') comment = false;
    if (!comment && c >= '0' && c <= '9') break;
  }
  std::int64_t value = 0;
  for (; at < data.size(); ++at) {
    const char c = static_cast<char>(data[at]);
    if (c < '0' || c > '9') break;
    value = value * 10 + (c - '0');
    if (value > INT32_MAX) throw HeaderError("corrupt PNM: a number in the header is too large");
  }
  return value;
}

}  // namespace

std::string_view format_name(Format format) {
  switch (format) {
    case Format::kJpeg:
      return "JPEG";
    case Format::kPng:
      return "PNG";
    case Format::kGif:
      return "GIF";
    case Format::kBmp:
      return "BMP";
    case Format::kWebp:
      return "WebP";
    case Format::kTiff:
      return "TIFF";
    case Format::kPnm:
      return "PNM";
  }
  return "";
}

Header read_gif_header(Bytes data) {
  const auto width = little16(data, 6);
  const auto height = little16(data, 8);
  if (!height) too_short(Format::kGif);
  return {.format = Format::kGif, .width = *width, .height = *height};
}

Header read_bmp_header(Bytes data) {
  const auto offset = little32(data, 10);
  const auto header_size = little32(data, 14);
  const bool old = header_size == 12U;
  const auto width = old ? little16(data, 18) : little32(data, 18);
  const auto height = old ? little16(data, 20) : little32(data, 22);
  const auto bits = little16(data, old ? 24 : 28);
  const auto compression = old ? std::optional<std::uint32_t>(0) : little32(data, 30);
  if (!bits || !compression) too_short(Format::kBmp);
  Header header{.format = Format::kBmp, .width = *width, .height = *height};
  if (!old) {  // signed; a negative height means rows from the top
    header.width = static_cast<std::int32_t>(*width);
    header.height = std::llabs(std::int64_t{static_cast<std::int32_t>(*height)});
  }
  const bool packed = *compression == 1 || *compression == 2;
  const std::int64_t row = (header.width * *bits + 31) / 32 * 4;
  const std::int64_t room = static_cast<std::int64_t>(data.size()) - *offset;
  if (!packed && header.width > 0 && header.height > 0 && (room < 0 || row > room / header.height))
    too_short(Format::kBmp);
  return header;
}

Header read_webp_header(Bytes data) {
  Header header{.format = Format::kWebp};
  const auto riff_size = little32(data, 4);
  if (!riff_size || !has(data, 8, *riff_size)) too_short(Format::kWebp);
  if (starts_with(data, "VP8 ", 12)) {
    header.width = little16(data, 26).value_or(0) & 0x3FFF;
    header.height = little16(data, 28).value_or(0) & 0x3FFF;
  } else if (starts_with(data, "VP8L", 12)) {
    const auto sizes = little32(data, 21).value_or(0);
    header.width = (sizes & 0x3FFF) + 1;
    header.height = ((sizes >> 14) & 0x3FFF) + 1;
  } else if (starts_with(data, "VP8X", 12)) {
    header.width = number(data, 24, 3, false).value_or(0) + 1;
    header.height = number(data, 27, 3, false).value_or(0) + 1;
    std::size_t at = 12;
    while (const auto length = little32(data, at + 4)) {
      if (starts_with(data, "EXIF", at)) header.orientation = exif_orientation(part(data, at + 8, *length));
      at += 8 + std::size_t{*length} + (*length & 1);
    }
  }
  return header;
}

Header read_tiff_header(Bytes data) {
  // The decoder turns TIFF pictures itself, so orientation stays 1.
  return {.format = Format::kTiff,
          .width = tiff_value(data, 256).value_or(0),
          .height = tiff_value(data, 257).value_or(0),
          .bytes_per_pixel = 8};
}

Header read_pnm_header(Bytes data) {
  Header header{.format = Format::kPnm, .bytes_per_pixel = 6};
  const auto kind = *byte_at(data, 1);
  std::size_t at = 2;
  header.width = pnm_number(data, at);
  header.height = pnm_number(data, at);
  const bool bitmap = kind == '1' || kind == '4';
  const std::int64_t largest = bitmap ? 1 : pnm_number(data, at);
  if (largest < 1 || largest > 65535) throw HeaderError("corrupt PNM: the largest value must be 1 to 65535");
  if (kind < '4') return header;
  const std::int64_t sample = largest > 255 ? 2 : 1;
  const std::int64_t row = bitmap ? (header.width + 7) / 8 : header.width * sample * (kind == '6' ? 3 : 1);
  const std::int64_t room = static_cast<std::int64_t>(data.size()) - static_cast<std::int64_t>(at) - 1;
  if (header.height > 0 && row > room / header.height) too_short(Format::kPnm);
  return header;
}

Header read_header(Bytes data) {
  Header header;
  if (starts_with(data, "\xFF\xD8"))
    header = read_jpeg_header(data);
  else if (starts_with(data, "\x89PNG\r\n\x1A\n"))
    header = read_png_header(data);
  else if (starts_with(data, "GIF87a") || starts_with(data, "GIF89a"))
    header = read_gif_header(data);
  else if (starts_with(data, "BM"))
    header = read_bmp_header(data);
  else if (starts_with(data, "RIFF") && starts_with(data, "WEBP", 8))
    header = read_webp_header(data);
  else if (starts_with(data, "II*") || starts_with(data, std::string_view("MM\0*", 4)))
    header = read_tiff_header(data);
  else if (is_pnm(data))
    header = read_pnm_header(data);
  else
    unknown(data);
  if (header.width <= 0 || header.height <= 0)
    throw HeaderError(
        fmt::format("corrupt {}: its size is {}x{}", format_name(header.format), header.width, header.height));
  return header;
}

}  // namespace capstan::image_io
