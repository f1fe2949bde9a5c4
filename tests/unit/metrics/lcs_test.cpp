// Bits against the plain dynamic programme.
#include "../src/metrics/lcs.h"

#include <algorithm>
#include <random>

#include "support/catch.h"

namespace capstan {
namespace {

using Ids = std::vector<std::int32_t>;

// The textbook table, and the walk back through it in rouge_score's order of choices.
std::pair<std::size_t, std::vector<char>> plain_lcs(const Ids& rows, const Ids& columns) {
  std::vector<std::vector<std::size_t>> table(rows.size() + 1, std::vector<std::size_t>(columns.size() + 1, 0));
  for (std::size_t i = 1; i <= rows.size(); ++i) {
    for (std::size_t j = 1; j <= columns.size(); ++j) {
      table[i][j] = std::max(table[i - 1][j], table[i][j - 1]);
      if (rows[i - 1] == columns[j - 1]) table[i][j] = table[i - 1][j - 1] + 1;
    }
  }
  std::vector<char> marked(rows.size(), 0);
  std::size_t i = rows.size();
  std::size_t j = columns.size();
  while (i > 0 && j > 0) {
    if (rows[i - 1] == columns[j - 1]) {
      marked[--i] = 1;
      --j;
    } else if (table[i][j - 1] > table[i - 1][j]) {
      --j;
    } else {
      --i;
    }
  }
  return {table.back().back(), marked};
}

Ids random_ids(std::mt19937& random, std::size_t size, int num_ids) {
  Ids ids(size);
  // Low ids are frequent and high ones rare, as words are.
  for (auto& id : ids) id = static_cast<std::int32_t>(random() % (random() % static_cast<unsigned>(num_ids) + 1));
  return ids;
}

std::vector<char> marks(Lcs& lcs, const Ids& rows) {
  std::vector<char> marked(rows.size(), 0);
  lcs.mark_rows(rows, marked);
  return marked;
}

TEST_CASE("bit-parallel lcs equals the plain table", "[metrics][lcs]") {
  std::mt19937 random(7);
  Lcs lcs;
  Lcs in_blocks(4);
  for (int round = 0; round < 400; ++round) {
    const int num_ids = round % 3 == 0 ? 3 : 60;
    const std::size_t longest = round % 10 == 0 ? 300 : 70;
    const Ids rows = random_ids(random, random() % longest, num_ids);
    const Ids columns = random_ids(random, random() % longest, num_ids);
    const auto [length, marked] = plain_lcs(rows, columns);
    INFO("round " << round);
    lcs.set_columns(columns);
    REQUIRE(lcs.length(rows) == length);
    REQUIRE(marks(lcs, rows) == marked);
    in_blocks.set_columns(columns);
    REQUIRE(marks(in_blocks, rows) == marked);
  }
}

TEST_CASE("lcs lengths at the edges of a machine word are right", "[metrics][lcs]") {
  Lcs lcs;
  for (const std::size_t size : {1U, 63U, 64U, 65U, 127U, 128U, 129U, 300U}) {
    Ids ids(size);
    for (std::size_t i = 0; i < size; ++i) ids[i] = static_cast<std::int32_t>(i);
    lcs.set_columns(ids);
    CHECK(lcs.length(ids) == size);
    CHECK(marks(lcs, ids) == std::vector<char>(size, 1));
    CHECK(lcs.length(Ids(size, 5)) == (size > 5 ? 1U : 0U));
    CHECK(lcs.length(Ids(ids.rbegin(), ids.rend())) == 1);
    // The second match takes the place of the first, across words that hold neither.
    CHECK(lcs.length(Ids{static_cast<std::int32_t>(size) - 1, 0}) == 1);
  }
}

TEST_CASE("lcs with nothing has length zero", "[metrics][lcs]") {
  Lcs lcs;
  CHECK(lcs.length(Ids{1, 2}) == 0);
  lcs.set_columns(Ids{1, 2});
  CHECK(lcs.length({}) == 0);
  CHECK(lcs.length(Ids{9, 1000000}) == 0);
  CHECK(marks(lcs, Ids{9, 8}) == std::vector<char>{0, 0});
}

}  // namespace
}  // namespace capstan
