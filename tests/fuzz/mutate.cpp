#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "fuzz/fuzz.h"

namespace capstan::fuzz {
namespace {

constexpr std::array<std::string_view, 20> kPieces{"-1",       "0",           "99999999999999999999",
                                                   "1e400",    "4294967296",  "null",
                                                   "true",     "[]",          "{}",
                                                   "\"\"",     "\"",          ",",
                                                   "|",        "\t",          "\n",
                                                   "..",       "/etc/passwd", std::string_view("\0", 1),
                                                   "\xff\xfe", "\xed\xa0\x80"};
constexpr std::array<char, 6> kBytes{'\0', '\x01', '\x7f', '\x80', '\xfe', '\xff'};

// A piece of `text` of up to `most` bytes.
std::string_view piece_of(std::string_view text, std::size_t most, Random& random) {
  if (text.empty()) return text;
  const std::size_t first = random.below(text.size());
  return text.substr(first, 1 + random.below(std::min(most, text.size() - first)));
}

void replace_number(std::string& bytes, Random& random) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto begin =
      std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(random.below(bytes.size())), bytes.end(), is_digit);
  const auto end = std::find_if_not(begin, bytes.end(), is_digit);
  if (begin != end) bytes.replace(begin, end, kPieces[random.below(5)]);
}

void change(std::string& bytes, const std::string& other, Random& random) {
  if (bytes.empty()) bytes = "x";
  const std::size_t at = random.below(bytes.size());
  switch (random.below(9)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      break;
    case 1:
      bytes[at] = kBytes[random.below(kBytes.size())];
      break;
    case 2:
      bytes[at] = static_cast<char>(random.below(256));
      break;
    case 3:
      bytes.erase(at, 1 + random.below(std::min<std::size_t>(64, bytes.size() - at)));
      break;
    case 4:
      bytes.insert(at, std::string(piece_of(bytes, 64, random)));
      break;
    case 5:
      bytes.insert(at, std::string(piece_of(other, 256, random)));
      break;
    case 6:
      bytes.insert(at, kPieces[random.below(kPieces.size())]);
      break;
    case 7:
      replace_number(bytes, random);
      break;
    default:
      if (random.below(4) == 0) bytes.resize(at);
  }
}

}  // namespace

std::string mutate(std::string bytes, const std::string& other, Random& random) {
  const std::uint64_t changes = 1 + random.below(8);
  for (std::uint64_t i = 0; i < changes; ++i) change(bytes, other, random);
  return bytes;
}

void put(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

}  // namespace capstan::fuzz
