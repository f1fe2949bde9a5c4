// GPT-2's spelling of bytes as printable characters, in which vocab.json and merges.txt are written.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace capstan::text {

// The character that stands for `byte`: itself where it is printable Latin-1, else the next free one from U+0100 on.
char32_t byte_to_char(unsigned char byte);

// Bytes in the alphabet: " a" becomes "\u0120a".
std::string spell_bytes(std::string_view bytes);

// The bytes that `token` spells; nullopt when a character of it is outside the alphabet.
std::optional<std::string> bytes_of_spelling(std::string_view token);

}  // namespace capstan::text
