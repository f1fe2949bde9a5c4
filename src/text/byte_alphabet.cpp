// The table of GPT-2's encoder (Radford et al., 2019): 188 bytes keep their Latin-1 character, 68 are moved up.
#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/unicode.h"

namespace capstan::text {
namespace {

constexpr std::size_t kAlphabetEnd = 0x100 + 68;

constexpr bool keeps_its_place(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> chars{};
  std::array<std::int16_t, kAlphabetEnd> bytes{};  // -1: not in the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.bytes.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = keeps_its_place(byte) ? static_cast<char32_t>(byte) : next++;
    alphabet.chars[byte] = c;
    alphabet.bytes[c] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}
constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_to_char(unsigned char byte) { return kAlphabet.chars[byte]; }

std::string spell_bytes(std::string_view bytes) {
  std::string token;
  token.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(token, byte_to_char(static_cast<unsigned char>(byte)));
  return token;
}

std::optional<std::string> bytes_of_spelling(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t i = 0; i < token.size();) {
    const CodePoint c = code_point_at(token, i);
    if (!c.valid || c.code_point >= kAlphabetEnd || kAlphabet.bytes[c.code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.bytes[c.code_point]));
    i += c.size;
  }
  return bytes;
}

}  // namespace capstan::text
