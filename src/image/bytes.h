// Reading numbers out of file headers that may lie: every access is checked against the end of the data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace capstan::image_io {

using Bytes = std::span<const std::byte>;

inline bool has(Bytes data, std::size_t at, std::size_t count) {
  return at <= data.size() && count <= data.size() - at;
}

// The part of `data` that lies in [at, at + count), cut at its end.
inline Bytes part(Bytes data, std::size_t at, std::size_t count) {
  if (at > data.size()) return {};
  return data.subspan(at, count < data.size() - at ? count : data.size() - at);
}

inline bool starts_with(Bytes data, std::string_view prefix, std::size_t at = 0) {
  return has(data, at, prefix.size()) && std::memcmp(data.data() + at, prefix.data(), prefix.size()) == 0;
}

// Unsigned number of `count` bytes; nothing when it does not fit into the data.
inline std::optional<std::uint32_t> number(Bytes data, std::size_t at, int count, bool big_endian) {
  if (!has(data, at, static_cast<std::size_t>(count))) return std::nullopt;
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    const int index = big_endian ? i : count - 1 - i;
    value = (value << 8) | std::to_integer<std::uint32_t>(data[at + static_cast<std::size_t>(index)]);
  }
  return value;
}
inline std::optional<std::uint32_t> big16(Bytes data, std::size_t at) { return number(data, at, 2, true); }
inline std::optional<std::uint32_t> big32(Bytes data, std::size_t at) { return number(data, at, 4, true); }
inline std::optional<std::uint32_t> little16(Bytes data, std::size_t at) { return number(data, at, 2, false); }
inline std::optional<std::uint32_t> little32(Bytes data, std::size_t at) { return number(data, at, 4, false); }
inline std::optional<std::uint32_t> byte_at(Bytes data, std::size_t at) { return number(data, at, 1, true); }

}  // namespace capstan::image_io
