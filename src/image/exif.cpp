// The TIFF structure that EXIF and TIFF files share (TIFF 6.0, section 2; EXIF 2.32, section 4.6.4).
#include "image/header.h"

namespace capstan::image_io {
namespace {

constexpr std::uint32_t kOrientationTag = 0x0112;

// Bytes of one value of a TIFF field type; 0 for types whose values are not small whole numbers.
int bytes_of_type(std::uint32_t type) {
  switch (type) {
    case 1:
      return 1;
    case 3:
      return 2;
    case 4:
      return 4;
    default:
      return 0;
  }
}

}  // namespace

std::optional<std::uint32_t> tiff_value(Bytes tiff, std::uint32_t tag) {
  const bool big = starts_with(tiff, "MM");
  if (!big && !starts_with(tiff, "II")) return std::nullopt;
  if (number(tiff, 2, 2, big) != 42U) return std::nullopt;
  const auto directory = number(tiff, 4, 4, big);
  if (!directory) return std::nullopt;
  const auto num_entries = number(tiff, *directory, 2, big);
  if (!num_entries) return std::nullopt;
  for (std::uint32_t i = 0; i < *num_entries; ++i) {
    const std::size_t entry = std::size_t{*directory} + 2 + std::size_t{12} * i;
    const auto found = number(tiff, entry, 2, big);
    if (!found) return std::nullopt;
    if (*found != tag) continue;
    const int size = bytes_of_type(number(tiff, entry + 2, 2, big).value_or(0));
    const auto count = number(tiff, entry + 4, 4, big);
    if (size == 0 || count != 1U) return std::nullopt;
    return number(tiff, entry + 8, size, big);
  }
  return std::nullopt;
}

int exif_orientation(Bytes tiff) {
  const auto value = tiff_value(tiff, kOrientationTag);
  return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
}

}  // namespace capstan::image_io
