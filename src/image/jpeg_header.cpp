// JPEG markers (ITU-T T.81, annex B): size, orientation, and whether the file is complete. libjpeg fills what is
// missing with grey and only warns, so a cut file has to be found here.
#include <fmt/format.h>

#include "image/header.h"

namespace capstan::image_io {
namespace {

constexpr std::uint32_t kStartOfScan = 0xDA;
constexpr std::uint32_t kEndOfImage = 0xD9;
constexpr std::uint32_t kApp1 = 0xE1;
constexpr std::string_view kExif("Exif\0\0", 6);
// Every scan walks over the whole picture, and an empty one takes a few bytes of the file. Encoders write 10 scans;
// more are read as long as they take no more than a second or two.
constexpr std::int64_t kManyScans = 20;
constexpr std::int64_t kMaxScanPixels = 1'000'000'000;

[[noreturn]] void corrupt(std::string_view what) { throw HeaderError(fmt::format("corrupt JPEG: {}", what)); }

bool stands_alone(std::uint32_t marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8); }

bool is_frame(std::uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Position just behind the next marker at or after `at`; bytes before it are stray and skipped, as decoders do.
std::size_t behind_next_marker(Bytes data, std::size_t at) {
  while (at < data.size()) {
    const void* found = std::memchr(data.data() + at, 0xFF, data.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - data.data());
    while (at < data.size() && data[at] == std::byte{0xFF}) ++at;
    if (at < data.size() && data[at] != std::byte{0}) return at + 1;
  }
  corrupt("the file ends before the end of the picture (cut short)");
}

void read_frame(Bytes segment, std::uint32_t marker, Header& header) {
  if (marker != 0xC0 && marker != 0xC1 && marker != 0xC2 && marker != 0xC9 && marker != 0xCA)
    throw HeaderError("lossless and hierarchical JPEG are not read; expected baseline or progressive");
  const auto precision = byte_at(segment, 0);
  const auto height = big16(segment, 1);
  const auto width = big16(segment, 3);
  const auto num_components = byte_at(segment, 5);
  if (!num_components) corrupt("the frame header is too short");
  if (*precision != 8) throw HeaderError(fmt::format("JPEG with {} bits per sample; expected 8", *precision));
  if (*num_components != 1 && *num_components != 3 && *num_components != 4)
    throw HeaderError(fmt::format("JPEG with {} colour components; expected 1, 3 or 4", *num_components));
  header.width = *width;
  header.height = *height;
}

}  // namespace

Header read_jpeg_header(Bytes data) {
  Header header{.format = Format::kJpeg};
  bool has_frame = false;
  bool has_exif = false;
  std::int64_t num_scans = 0;
  std::size_t at = 2;
  while (true) {
    at = behind_next_marker(data, at);
    const auto marker = std::to_integer<std::uint32_t>(data[at - 1]);
    if (marker == kEndOfImage) break;
    if (stands_alone(marker)) continue;
    const auto length = big16(data, at);
    if (!length || !has(data, at, *length)) corrupt("the file ends inside a header segment (cut short)");
    if (*length < 2) corrupt("a header segment has an impossible length");
    const Bytes segment = data.subspan(at + 2, *length - 2);
    if (is_frame(marker) && !has_frame) {
      read_frame(segment, marker, header);
      has_frame = true;
    }
    // The first EXIF block counts, as in Pillow.
    if (marker == kApp1 && !has_exif && starts_with(segment, kExif)) {
      header.orientation = exif_orientation(segment.subspan(kExif.size()));
      has_exif = true;
    }
    if (marker == kStartOfScan) ++num_scans;
    at += *length;
  }
  if (!has_frame || num_scans == 0) corrupt("it holds no picture, only headers");
  if (num_scans > kManyScans && num_scans * header.width * header.height > kMaxScanPixels)
    throw HeaderError(fmt::format("JPEG with {} scans over {}x{} pixels, which would take too long; expected up to {}",
                                  num_scans, header.width, header.height, kManyScans));
  return header;
}

}  // namespace capstan::image_io
