// GPT-2's division of text into words, inside which BPE merges.
#pragma once
#include <cstddef>
#include <string_view>

namespace capstan::text {

// Where the word that starts at `begin` ends, by the pattern
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// `begin` must lie inside `text`. Bytes that are not UTF-8 count as symbols, so that no byte is ever lost.
std::size_t gpt2_word_end(std::string_view text, std::size_t begin);

}  // namespace capstan::text
