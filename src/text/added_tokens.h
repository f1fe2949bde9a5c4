// Tokens that are matched as they stand, before BPE sees the text: <|endoftext|> and the like.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/merge_table.h"

namespace capstan::text {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = true;      // left out by decode(skip_special_tokens = true)
  bool lstrip = false;      // takes the white space before it
  bool rstrip = false;      // takes the white space after it
  bool normalized = false;  // looked for only after all tokens that are not
};

// A piece of text, or an added token that was found there.
struct Segment {
  std::string_view text;
  bool is_token = false;
  TokenId id = 0;
};

// Finds the added tokens of a text. Immutable, so safe to use from several threads.
class AddedTokenSplitter {
 public:
  AddedTokenSplitter() = default;
  explicit AddedTokenSplitter(const std::vector<AddedToken>& tokens);

  bool empty() const { return passes_[0].tokens.empty() && passes_[1].tokens.empty(); }
  // The segments of `text` in order, without empty ones. The leftmost, then the longest token wins.
  std::vector<Segment> split(std::string_view text) const;

 private:
  // Tokens that are looked for together, by first byte and then longest first.
  struct Pass {
    std::vector<AddedToken> tokens;
    std::array<std::uint32_t, 257> first{};  // tokens with first byte b are first[b] .. first[b + 1]
  };
  static const AddedToken* match(const Pass& pass, std::string_view text, std::size_t position);
  static void split_segment(const Pass& pass, std::string_view text, std::vector<Segment>& segments);

  std::array<Pass, 2> passes_;
};

}  // namespace capstan::text
