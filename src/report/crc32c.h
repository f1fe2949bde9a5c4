// CRC-32C (Castagnoli), as TFRecords carry it.
#pragma once
#include <cstdint>
#include <string_view>

namespace capstan::report {

std::uint32_t crc32c(std::string_view bytes);

// Rotated and shifted, so that a checksum over data that holds checksums stays meaningful.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace capstan::report
