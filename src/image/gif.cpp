// GIF89a (CompuServe, 1990): blocks, colour tables and variable-length-code LZW.
#include "image/gif.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "image/header.h"

namespace capstan::image_io {
namespace {

constexpr int kMaxCodes = 4096;

[[noreturn]] void corrupt(std::string_view what) { throw HeaderError(fmt::format("corrupt GIF: {}", what)); }

// The number at `at`, or an error that the file is cut short.
std::uint32_t need(std::optional<std::uint32_t> value) {
  if (!value) corrupt("the file ends before the end of the picture (cut short)");
  return *value;
}

// Data sub-blocks joined; `at` moves behind the terminator.
std::vector<std::uint8_t> read_sub_blocks(Bytes data, std::size_t& at) {
  std::vector<std::uint8_t> joined;
  while (const std::uint32_t size = need(byte_at(data, at))) {
    const Bytes block = part(data, at + 1, size);
    for (const std::byte b : block) joined.push_back(std::to_integer<std::uint8_t>(b));
    at += 1 + std::size_t{size};
    if (block.size() < size) break;  // what came so far may hold the whole first frame
    if (at >= data.size()) break;
  }
  ++at;
  return joined;
}

// Indices of `count` pixels; fewer when the stream ends early or breaks its own rules.
std::vector<std::uint8_t> decode_lzw(const std::vector<std::uint8_t>& stream, int min_bits, std::size_t count) {
  std::array<std::uint16_t, kMaxCodes> prefix{};
  std::array<std::uint8_t, kMaxCodes> suffix{};
  std::array<std::uint8_t, kMaxCodes + 1> string{};
  const int clear = 1 << min_bits;
  const int end = clear + 1;
  for (int i = 0; i < clear; ++i) suffix[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i);
  int next = end + 1;
  int bits = min_bits + 1;
  int previous = -1;
  std::uint8_t first = 0;
  std::uint32_t buffer = 0;
  int held = 0;
  std::vector<std::uint8_t> indices;
  for (std::size_t at = 0; indices.size() < count;) {
    while (held < bits && at < stream.size()) {
      buffer |= static_cast<std::uint32_t>(stream[at++]) << held;
      held += 8;
    }
    if (held < bits) break;
    int code = static_cast<int>(buffer & ((1U << bits) - 1));
    buffer >>= bits;
    held -= bits;
    if (code == end) break;
    if (code == clear) {
      next = end + 1;
      bits = min_bits + 1;
      previous = -1;
      continue;
    }
    if (code > next || (code == next && previous < 0) || (previous < 0 && code >= clear)) break;
    const int entered = code;
    std::size_t depth = 0;
    if (code == next) {  // the string that is being defined: previous string + its first symbol
      string[depth++] = first;
      code = previous;
    }
    while (code > end) {
      string[depth++] = suffix[static_cast<std::size_t>(code)];
      code = prefix[static_cast<std::size_t>(code)];
    }
    first = suffix[static_cast<std::size_t>(code)];
    string[depth++] = first;
    while (depth > 0 && indices.size() < count) indices.push_back(string[--depth]);
    if (previous >= 0 && next < kMaxCodes) {
      prefix[static_cast<std::size_t>(next)] = static_cast<std::uint16_t>(previous);
      suffix[static_cast<std::size_t>(next)] = first;
      if (++next == 1 << bits && bits < 12) ++bits;
    }
    previous = entered;
  }
  return indices;
}

struct Frame {
  std::uint32_t left = 0, top = 0, width = 0, height = 0;
  Bytes colours;  // 3 bytes each
  bool interlaced = false;
  int transparent = -1;
  std::vector<std::uint8_t> indices;
};

// Row of the picture that is stored as row number `stored` of an interlaced frame (passes of 8, 8, 4 and 2).
std::vector<std::uint32_t> row_order(std::uint32_t height, bool interlaced) {
  std::vector<std::uint32_t> rows;
  if (!interlaced) {
    for (std::uint32_t y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr std::array<std::array<std::uint32_t, 2>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& [start, step] : kPasses)
    for (std::uint32_t y = start; y < height; y += step) rows.push_back(y);
  return rows;
}

Bytes read_colours(Bytes data, std::size_t& at, std::uint32_t packed) {
  if ((packed & 0x80) == 0) return {};
  const std::size_t size = std::size_t{3} << ((packed & 7) + 1);
  if (!has(data, at, size)) corrupt("the file ends inside a colour table (cut short)");
  const Bytes colours = data.subspan(at, size);
  at += size;
  return colours;
}

// Walks the blocks up to the first picture.
Frame read_first_frame(Bytes data, std::int64_t max_pixels) {
  Frame frame;
  std::size_t at = 13;
  const Bytes global_colours = read_colours(data, at, need(byte_at(data, 10)));
  while (true) {
    const std::uint32_t kind = need(byte_at(data, at++));
    if (kind == 0x21) {  // extension
      const std::uint32_t label = need(byte_at(data, at++));
      const auto body = read_sub_blocks(data, at);
      if (label == 0xF9 && body.size() >= 4) frame.transparent = (body[0] & 1) != 0 ? body[3] : -1;
    } else if (kind == 0x2C) {
      break;
    } else if (kind == 0x3B) {
      corrupt("it holds no picture");
    }  // stray bytes between blocks are skipped, as other readers do
  }
  frame.left = need(little16(data, at));
  frame.top = need(little16(data, at + 2));
  frame.width = need(little16(data, at + 4));
  frame.height = need(little16(data, at + 6));
  const std::uint32_t packed = need(byte_at(data, at + 8));
  at += 9;
  frame.interlaced = (packed & 0x40) != 0;
  frame.colours = read_colours(data, at, packed);
  if (frame.colours.empty()) frame.colours = global_colours;
  const std::uint32_t min_bits = need(byte_at(data, at++));
  if (frame.width == 0 || frame.height == 0) corrupt("its frame is empty");
  if (min_bits < 1 || min_bits > 11) corrupt(fmt::format("LZW code size {}; expected 2 to 8", min_bits));
  if (frame.colours.empty()) corrupt("it has no colour table");
  const std::int64_t area = std::int64_t{frame.left + frame.width} * (frame.top + frame.height);
  if (area > max_pixels)
    throw HeaderError(fmt::format("GIF frame of {} pixels; at most {} are read", area, max_pixels));
  const std::size_t count = std::size_t{frame.width} * frame.height;
  frame.indices = decode_lzw(read_sub_blocks(data, at), static_cast<int>(min_bits), count);
  if (frame.indices.size() < count) corrupt("the picture data end too early");
  return frame;
}

}  // namespace

Image decode_gif(Bytes data, std::int64_t max_pixels, std::uint8_t background) {
  const Header header = read_gif_header(data);
  const Frame frame = read_first_frame(data, max_pixels);
  Image image;
  image.width = static_cast<int>(std::max<std::int64_t>(header.width, frame.left + frame.width));
  image.height = static_cast<int>(std::max<std::int64_t>(header.height, frame.top + frame.height));
  const std::int64_t area = std::int64_t{image.width} * image.height;
  if (area > max_pixels) throw HeaderError(fmt::format("GIF of {} pixels; at most {} are read", area, max_pixels));
  image.rgb.assign(static_cast<std::size_t>(area) * 3, background);
  const std::uint8_t* index = frame.indices.data();
  for (const std::uint32_t y : row_order(frame.height, frame.interlaced)) {
    std::uint8_t* out =
        image.rgb.data() + (std::size_t{frame.top + y} * static_cast<std::size_t>(image.width) + frame.left) * 3;
    for (std::uint32_t x = 0; x < frame.width; ++x, ++index, out += 3) {
      if (*index == frame.transparent) continue;
      const std::size_t colour = std::size_t{*index} * 3;
      const bool known = colour < frame.colours.size();  // indices outside the table are black, as in Pillow
      for (std::size_t c = 0; c < 3; ++c)
        out[c] = known ? std::to_integer<std::uint8_t>(frame.colours[colour + c]) : std::uint8_t{0};
    }
  }
  return image;
}

}  // namespace capstan::image_io
