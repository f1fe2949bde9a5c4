// Longest common subsequences of one sequence of ids with many others, 64 columns per machine word.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace capstan {

// The dynamic programme over rows (one sequence) and columns (the other) is kept as one bit per cell: a zero says that
// the length grows from the column before. Method: Hyyro, "Bit-parallel LCS-length computation revisited" (2004).
// Length needs one row of bits; reading a path back needs the rows, of which a bounded number is held (see mark_rows).
// Ids are small and not negative: memory also grows with the largest. Not thread-safe.
class Lcs {
 public:
  // `max_table_words`: how many 64-bit words of rows mark_rows may hold before it computes rows twice; 64 MiB.
  explicit Lcs(std::size_t max_table_words = std::size_t{8} << 20) : max_table_words_(max_table_words) {}

  void set_columns(std::span<const std::int32_t> columns);

  std::size_t length(std::span<const std::int32_t> rows);

  // Sets marked[i] for the rows i of one longest common subsequence: the one that a walk back from the last cell finds
  // when it takes equal ids, goes left if the length there is larger than above, and up otherwise (rouge_score's
  // choice). When the table is too large, only every sqrt(rows)-th row is kept and the rest is computed twice.
  void mark_rows(std::span<const std::int32_t> rows, std::span<char> marked);

 private:
  // Where one id stands among the columns: as a row of bits when it is frequent, as a list when it is rare.
  struct Slot {
    std::size_t count = 0;
    std::size_t begin = 0;  // in bits_ or positions_
    bool dense = false;
  };

  const Slot* slot(std::int32_t id) const;
  void advance(const Slot& slot, std::uint64_t* row);
  std::size_t grown(const std::uint64_t* row, std::size_t num_columns) const;
  void walk_back(std::span<const std::int32_t> rows, std::size_t first, std::size_t& row, std::size_t& column,
                 std::span<char> marked) const;

  std::size_t max_table_words_;
  std::vector<std::int32_t> columns_;
  std::size_t num_words_ = 0;
  std::vector<std::int32_t> slot_of_id_;  // index into slots_ plus one; 0 for ids that are no column
  std::vector<Slot> slots_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::size_t> positions_;
  std::vector<std::uint64_t> mask_;         // one row of bits for a rare id; zero between uses
  std::vector<std::uint64_t> table_;        // rows of the block at hand
  std::vector<std::uint64_t> block_start_;  // the row before each block
  std::vector<std::size_t> kept_;           // rows whose id is among the columns
};

}  // namespace capstan
