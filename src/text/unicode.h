// Code points and their classes, as much of Unicode as byte-level BPE needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace capstan::text {

enum class CharClass : std::uint8_t { kOther, kLetter, kNumber, kSpace };

// Code points first..last, both included.
struct CharRange {
  char32_t first;
  char32_t last;
  CharClass char_class;
};

// All ranges that have a class, in rising order.
std::span<const CharRange> char_ranges();

CharClass classify(char32_t code_point);

// One character of a text. `valid` is false for bytes that are not UTF-8: then `code_point` is U+FFFD and `size`
// counts the longest start of a well-formed sequence (at least 1), the unit that decoders replace.
struct CodePoint {
  char32_t code_point;
  std::uint32_t size;
  bool valid;
};

// The character at `position`, which must lie inside `text`.
CodePoint code_point_at(std::string_view text, std::size_t position);

void append_utf8(std::string& text, char32_t code_point);

// `bytes` with U+FFFD for every ill-formed part, as Rust's String::from_utf8_lossy does.
std::string to_valid_utf8(std::string_view bytes);

}  // namespace capstan::text
