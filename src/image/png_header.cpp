// PNG chunks (W3C PNG, third edition): size, orientation and the transparent colour.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "image/header.h"

namespace capstan::image_io {
namespace {

constexpr std::size_t kSignature = 8;
constexpr std::uint32_t kGrey = 0;
constexpr std::uint32_t kTrueColour = 2;
constexpr std::uint32_t kAlpha = 4;  // a bit of the colour type
constexpr std::string_view kRawProfile("Raw profile type exif\0", 22);
constexpr std::string_view kExif("Exif\0\0", 6);

void read_transparent(Bytes body, std::uint32_t colour_type, Header& header) {
  if (colour_type == kGrey && body.size() >= 2) {
    const auto grey = *big16(body, 0);
    header.transparent = {grey, grey, grey};
  } else if (colour_type == kTrueColour && body.size() >= 6) {
    header.transparent = {*big16(body, 0), *big16(body, 2), *big16(body, 4)};
  }
}

int hex_digit(std::byte b) {
  const char c = static_cast<char>(b);
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// EXIF as ImageMagick keeps it in a text chunk: keyword, "\nexif\n   <length>\n", then hexadecimal lines.
int text_orientation(Bytes body) {
  std::size_t at = kRawProfile.size();
  for (int newlines = 0; newlines < 3 && at < body.size(); ++at)
    if (body[at] == std::byte{'\n'}) ++newlines;
  std::vector<std::byte> exif;
  for (int high = -1; at < body.size(); ++at) {
    const int digit = hex_digit(body[at]);
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      exif.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  const Bytes block(exif);
  return starts_with(block, kExif) ? exif_orientation(block.subspan(kExif.size())) : 1;
}

}  // namespace

std::string png_essentials(Bytes data) {
  const auto* text = reinterpret_cast<const char*>(data.data());
  std::string kept(text, kSignature);
  std::size_t at = kSignature;
  while (const auto length = big32(data, at)) {
    const std::size_t size = std::size_t{*length} + 12;
    const bool whole = has(data, at, size);
    const std::string_view chunk(text + at, whole ? size : data.size() - at);
    const std::string_view kind = chunk.substr(std::min<std::size_t>(4, chunk.size()), 4);
    if (kind == "IHDR" || kind == "PLTE" || kind == "tRNS" || kind == "IDAT" || kind == "IEND") kept += chunk;
    if (!whole || kind == "IEND") break;
    at += size;
  }
  return kept;
}

Header read_png_header(Bytes data) {
  Header header{.format = Format::kPng};
  if (!starts_with(data, "IHDR", kSignature + 4) || big32(data, kSignature) != 13U || !has(data, kSignature, 25))
    throw HeaderError("corrupt PNG: it does not begin with its size (IHDR)");
  header.width = *big32(data, kSignature + 8);
  header.height = *big32(data, kSignature + 12);
  header.bit_depth = static_cast<int>(*byte_at(data, kSignature + 16));
  const auto colour_type = *byte_at(data, kSignature + 17);
  header.bytes_per_pixel = ((colour_type & kAlpha) != 0 ? 4 : 3) * (header.bit_depth == 16 ? 2 : 1);
  std::size_t at = kSignature + 25;
  while (const auto length = big32(data, at)) {
    if (!has(data, at, std::size_t{*length} + 12)) break;  // the decoder says what is wrong with the rest
    const Bytes body = data.subspan(at + 8, *length);
    if (starts_with(data, "tRNS", at + 4)) read_transparent(body, colour_type, header);
    if (starts_with(data, "eXIf", at + 4)) header.orientation = exif_orientation(body);
    if (starts_with(data, "tEXt", at + 4) && starts_with(body, kRawProfile))
      header.orientation = text_orientation(body);
    if (starts_with(data, "IEND", at + 4)) break;
    at += std::size_t{*length} + 12;
  }
  return header;
}

}  // namespace capstan::image_io
