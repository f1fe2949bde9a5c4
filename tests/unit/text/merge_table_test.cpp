// The merge loops against each other and against merges done by hand.
#include "text/merge_table.h"

#include "capstan/core/random.h"
#include "support/catch.h"

using namespace capstan::text;
using Ids = std::vector<TokenId>;

static Ids merged(const MergeTable& table, Ids ids) {
  table.apply(ids);
  return ids;
}

TEST_CASE("merging takes the lowest rank first and the leftmost of equals", "[text][merge_table]") {
  MergeTable table(3);
  table.add(1, 2, {0, 3});
  table.add(1, 1, {1, 4});
  table.add(4, 1, {2, 5});
  CHECK(merged(table, {1, 1, 2}) == Ids{1, 3});
  CHECK(merged(table, {1, 1, 1}) == Ids{5});
  CHECK(merged(table, {1, 1, 1, 1}) == Ids{4, 4});
  CHECK(merged(table, {7, 8}) == Ids{7, 8});
  CHECK(merged(table, {}).empty());
}

TEST_CASE("a pair that is given twice takes the later rank", "[text][merge_table]") {
  MergeTable table(3);
  table.add(1, 2, {0, 10});
  table.add(2, 3, {1, 11});
  table.add(1, 2, {2, 10});
  CHECK(merged(table, {1, 2, 3}) == Ids{1, 11});
}

TEST_CASE("both merge loops give the same tokens", "[text][merge_table]") {
  capstan::Random random(7);
  constexpr TokenId kLetters = 4;
  MergeTable table(200);
  TokenId next = kLetters;
  for (std::uint32_t rank = 0; rank < 200; ++rank) {
    table.add(static_cast<TokenId>(random.below(next)), static_cast<TokenId>(random.below(next)), {rank, next});
    ++next;
  }
  for (int round = 0; round < 2000; ++round) {
    Ids plain;
    const std::uint64_t length = random.below(90);
    for (std::uint64_t i = 0; i < length; ++i) plain.push_back(static_cast<TokenId>(random.below(kLetters)));
    Ids heap = plain;
    table.apply_plain(plain);
    table.apply_with_heap(heap);
    REQUIRE(plain == heap);
  }
}

TEST_CASE("a very long word is merged in a moment", "[text][merge_table]") {
  MergeTable table(18);
  for (std::uint32_t rank = 0; rank < 18; ++rank) table.add(rank, rank, {rank, rank + 1});
  CHECK(merged(table, Ids(std::size_t{1} << 18, 0)) == Ids{18});
}
