#include "capstan/core/memory.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/resource_limit.h"

using namespace capstan;

namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

}  // namespace

TEST_CASE("blocks lie on pages of their own and freed ones are joined and used again", "[core][memory]") {
  BlockHeap heap(256 * kMebibyte);
  REQUIRE(heap.reserved() == 256 * kMebibyte);
  char* const a = static_cast<char*>(heap.allocate(3 * kMebibyte + 1));
  char* const b = static_cast<char*>(heap.allocate(2 * kMebibyte));
  char* const c = static_cast<char*>(heap.allocate(1));
  CHECK(reinterpret_cast<std::uintptr_t>(a) % 4096 == 0);
  CHECK(b == a + 3 * kMebibyte + 4096);
  CHECK(c == b + 2 * kMebibyte);
  heap.free(a);
  heap.free(b);
  CHECK(heap.allocate(5 * kMebibyte + 4096) == a);  // the room of both
  heap.free(c);
  CHECK(heap.used() == 5 * kMebibyte + 4096);
  CHECK(heap.contains(a));
  CHECK_FALSE(heap.contains(&heap));
  heap.free(a);
  CHECK(heap.used() == 0);
  heap.free(nullptr);
}

TEST_CASE("a heap says no when its addresses or the memory are used up, and goes on", "[core][memory]") {
  BlockHeap heap(64 * kMebibyte);
  void* const most = heap.allocate(64 * kMebibyte);
  REQUIRE(most != nullptr);
  CHECK(heap.allocate(1) == nullptr);
  CHECK(heap.allocate(std::size_t{1} << 60) == nullptr);
  heap.free(most);
  CHECK(heap.allocate(64 * kMebibyte) == most);
  heap.free(most);
#ifndef __SANITIZE_ADDRESS__
  BlockHeap other(1024 * kMebibyte);
  {
    const testing::ResourceLimit limit(RLIMIT_DATA, 16 * kMebibyte);
    CHECK(other.allocate(512 * kMebibyte) == nullptr);
  }
  void* const later = other.allocate(512 * kMebibyte);
  CHECK(later != nullptr);
  other.free(later);
#endif
}

TEST_CASE("a heap nobody may set aside addresses for is empty", "[core][memory]") {
  BlockHeap heap(std::size_t{1} << 62);
  CHECK(heap.reserved() == 0);
  CHECK(heap.allocate(1) == nullptr);
  CHECK_FALSE(heap.contains(nullptr));
}

TEST_CASE("no two blocks overlap, whatever the order of coming and going, from several threads", "[core][memory]") {
  BlockHeap heap(512 * kMebibyte);
  const auto work = [&](unsigned char mark) {
    std::mt19937 random(mark);
    std::vector<std::pair<unsigned char*, std::size_t>> mine;
    const auto is_whole = [&](const auto& block) {
      return block.first[0] == mark && block.first[block.second / 2] == mark && block.first[block.second - 1] == mark;
    };
    bool good = true;
    for (int i = 0; i < 3000; ++i) {
      if (mine.size() < 20 && random() % 3 != 0) {
        const std::size_t size = 1 + random() % (kMebibyte / 2);
        auto* const block = static_cast<unsigned char*>(heap.allocate(size));
        block[0] = block[size / 2] = block[size - 1] = mark;
        mine.emplace_back(block, size);
      } else if (!mine.empty()) {
        const std::size_t at = random() % mine.size();
        good = good && is_whole(mine[at]);
        heap.free(mine[at].first);
        mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    for (const auto& block : mine) {
      good = good && is_whole(block);
      heap.free(block.first);
    }
    return good;
  };
  bool first = false, second = false;
  std::thread one([&] { first = work(1); }), two([&] { second = work(2); });
  one.join();
  two.join();
  CHECK(first);
  CHECK(second);
  CHECK(heap.used() == 0);
  CHECK(heap.committed() < 64 * kMebibyte);  // at most 40 blocks of half a mebibyte lived at once
}
