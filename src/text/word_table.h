// A fixed hash table from short words to token ids, faster than a general map where most time is spent.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "text/merge_table.h"

namespace capstan::text {

// Immutable after the last add(); keeps views, so the words must outlive it.
class WordTable {
 public:
  static constexpr std::size_t kMaxWordSize = 64;  // longer words are rare and are merged each time

  explicit WordTable(std::size_t max_words) : slots_(std::bit_ceil(max_words * 2 + 2)) {}

  // Words are different and at most kMaxWordSize long.
  void add(std::string_view word, TokenId id) {
    std::size_t slot = slot_of(word);
    while (slots_[slot].word.data() != nullptr) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = {word, id};
  }

  std::optional<TokenId> find(std::string_view word) const {
    if (word.size() > kMaxWordSize) return std::nullopt;
    for (std::size_t slot = slot_of(word);; slot = (slot + 1) & (slots_.size() - 1)) {
      if (slots_[slot].word.data() == nullptr) return std::nullopt;
      if (slots_[slot].word == word) return slots_[slot].id;
    }
  }

 private:
  struct Slot {
    std::string_view word;
    TokenId id = 0;
  };
  std::size_t slot_of(std::string_view word) const { return std::hash<std::string_view>{}(word) & (slots_.size() - 1); }

  std::vector<Slot> slots_;
};

}  // namespace capstan::text
