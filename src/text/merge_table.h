// Byte-pair merges by rank, and the loop that applies them to one word.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace capstan::text {

using TokenId = std::uint32_t;

// Two neighbouring tokens packed into one number.
inline std::uint64_t pack_pair(TokenId left, TokenId right) { return std::uint64_t{left} << 32 | right; }

// Immutable after the last add(); then safe to use from several threads.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;  // lower ranks merge first
    TokenId product;
  };

  explicit MergeTable(std::size_t num_merges);
  // A pair that is added again takes the later rank.
  void add(TokenId left, TokenId right, Merge merge);
  // nullptr when the two do not merge.
  const Merge* find(TokenId left, TokenId right) const {
    const std::uint64_t key = pack_pair(left, right);
    for (std::size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
      if (slots_[slot].key == key) return &slots_[slot].merge;
      if (slots_[slot].key == kEmpty) return nullptr;
    }
  }

  // Merges `ids` in place until no pair of neighbours merges: always the lowest rank, the leftmost among equals.
  void apply(std::vector<TokenId>& ids) const;
  // The two ways of doing so; the same result. The plain one takes quadratic time and wins on short words.
  void apply_plain(std::vector<TokenId>& ids) const;
  void apply_with_heap(std::vector<TokenId>& ids) const;

 private:
  struct Slot {
    std::uint64_t key = kEmpty;
    Merge merge{};
  };
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  std::size_t slot_of(std::uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_ & mask_; }

  std::vector<Slot> slots_;  // open addressing, at most half full
  std::size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace capstan::text
