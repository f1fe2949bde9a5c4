// Bit-parallel longest common subsequence: building rows of bits, and walking back through them.
#include "metrics/lcs.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace capstan {
namespace {

constexpr std::size_t kWordBits = 64;

void set_bit(std::uint64_t* row, std::size_t column) {
  row[column / kWordBits] |= std::uint64_t{1} << (column % kWordBits);
}

}  // namespace

void Lcs::set_columns(std::span<const std::int32_t> columns) {
  for (const std::int32_t id : columns_) slot_of_id_[static_cast<std::size_t>(id)] = 0;
  columns_.assign(columns.begin(), columns.end());
  num_words_ = (columns_.size() + kWordBits - 1) / kWordBits;
  slots_.clear();
  for (const std::int32_t id : columns_) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= slot_of_id_.size()) slot_of_id_.resize(index + index / 2 + 1, 0);
    if (slot_of_id_[index] == 0) {
      slots_.emplace_back();
      slot_of_id_[index] = static_cast<std::int32_t>(slots_.size());
    }
    ++slots_[static_cast<std::size_t>(slot_of_id_[index]) - 1].count;
  }

  // Fewer than 64 ids can be dense, so both stores stay linear in the number of columns.
  std::size_t num_bits = 0;
  std::size_t num_positions = 0;
  for (Slot& slot : slots_) {
    slot.dense = slot.count >= num_words_;
    slot.begin = slot.dense ? num_bits : num_positions;
    if (slot.dense) {
      num_bits += num_words_;
    } else {
      num_positions += slot.count;
    }
    slot.count = 0;
  }
  bits_.assign(num_bits, 0);
  positions_.resize(num_positions);
  mask_.assign(num_words_, 0);
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    const auto id = static_cast<std::size_t>(columns_[column]);
    Slot& slot = slots_[static_cast<std::size_t>(slot_of_id_[id]) - 1];
    if (slot.dense) {
      set_bit(&bits_[slot.begin], column);
    } else {
      positions_[slot.begin + slot.count] = column;
    }
    ++slot.count;
  }
}

std::size_t Lcs::length(std::span<const std::int32_t> rows) {
  if (columns_.empty()) return 0;
  table_.assign(num_words_, ~std::uint64_t{0});
  for (const std::int32_t id : rows) {
    if (const Slot* found = slot(id)) advance(*found, table_.data());
  }
  return grown(table_.data(), columns_.size());
}

void Lcs::mark_rows(std::span<const std::int32_t> rows, std::span<char> marked) {
  // A row whose id is no column equals the row above it, and the walk passes it upwards: leave it out.
  kept_.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (slot(rows[i]) != nullptr) kept_.push_back(i);
  }
  if (kept_.empty()) return;

  const bool fits = kept_.size() < max_table_words_ / num_words_;
  const std::size_t block =
      fits ? kept_.size() : static_cast<std::size_t>(std::sqrt(static_cast<double>(kept_.size()))) + 1;
  const std::size_t num_blocks = (kept_.size() + block - 1) / block;
  const auto slot_of_row = [&](std::size_t row) -> const Slot& { return *slot(rows[kept_[row]]); };

  block_start_.assign(num_blocks * num_words_, ~std::uint64_t{0});
  for (std::size_t b = 1; b < num_blocks; ++b) {
    std::uint64_t* row_bits = &block_start_[b * num_words_];
    std::copy_n(row_bits - num_words_, num_words_, row_bits);
    for (std::size_t row = (b - 1) * block; row < b * block; ++row) advance(slot_of_row(row), row_bits);
  }

  std::size_t row = kept_.size();
  std::size_t column = columns_.size();
  table_.resize((block + 1) * num_words_);
  for (std::size_t b = num_blocks; b-- > 0 && column > 0;) {
    const std::size_t first = b * block;
    std::copy_n(&block_start_[b * num_words_], num_words_, table_.data());
    for (std::size_t r = first; r < row; ++r) {
      std::uint64_t* row_bits = &table_[(r - first + 1) * num_words_];
      std::copy_n(row_bits - num_words_, num_words_, row_bits);
      advance(slot_of_row(r), row_bits);
    }
    walk_back(rows, first, row, column, marked);
  }
}

// From cell (`row`, `column`), counted from 1, up to the block's first row or to the left edge.
void Lcs::walk_back(std::span<const std::int32_t> rows, std::size_t first, std::size_t& row, std::size_t& column,
                    std::span<char> marked) const {
  while (row > first && column > 0) {
    const std::size_t index = kept_[row - 1];
    if (rows[index] != columns_[column - 1]) {
      const std::uint64_t* row_bits = &table_[(row - first) * num_words_];
      if (grown(row_bits, column) == grown(row_bits - num_words_, column)) {
        --row;
        continue;
      }
      // This row adds one to the length here, so an equal id lies to the left, and the length is the same up to it.
      while (rows[index] != columns_[column - 1]) --column;
    }
    marked[index] = 1;
    --row;
    --column;
  }
}

const Lcs::Slot* Lcs::slot(std::int32_t id) const {
  const auto index = static_cast<std::size_t>(id);
  if (index >= slot_of_id_.size() || slot_of_id_[index] == 0) return nullptr;
  return &slots_[static_cast<std::size_t>(slot_of_id_[index]) - 1];
}

// One row of the dynamic programme. In every run of ones and the zero above it, the lowest match becomes the zero.
void Lcs::advance(const Slot& slot, std::uint64_t* row) {
  const std::uint64_t* match = slot.dense ? &bits_[slot.begin] : mask_.data();
  if (!slot.dense) {
    for (std::size_t i = 0; i < slot.count; ++i) set_bit(mask_.data(), positions_[slot.begin + i]);
  }
  std::uint64_t carry = 0;
  for (std::size_t word = 0; word < num_words_; ++word) {
    const std::uint64_t hit = row[word] & match[word];
    const std::uint64_t partial = row[word] + hit;
    const std::uint64_t sum = partial + carry;
    carry = static_cast<std::uint64_t>(partial < hit || sum < partial);
    row[word] = sum | (row[word] & ~match[word]);
  }
  if (!slot.dense) {
    for (std::size_t i = 0; i < slot.count; ++i) mask_[positions_[slot.begin + i] / kWordBits] = 0;
  }
}

// The length of the common subsequence with the first `num_columns` columns.
std::size_t Lcs::grown(const std::uint64_t* row, std::size_t num_columns) const {
  std::size_t zeros = 0;
  const std::size_t full = num_columns / kWordBits;
  for (std::size_t word = 0; word < full; ++word) zeros += static_cast<std::size_t>(std::popcount(~row[word]));
  if (const std::size_t rest = num_columns % kWordBits; rest > 0) {
    const std::uint64_t low = (std::uint64_t{1} << rest) - 1;
    zeros += static_cast<std::size_t>(std::popcount(~row[full] & low));
  }
  return zeros;
}

}  // namespace capstan
