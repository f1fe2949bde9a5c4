// Greedy merging as in Sennrich et al. (2016): a scan for short words, a heap over a linked list for long ones.
#include "text/merge_table.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>
#include <tuple>

namespace capstan::text {
namespace {

constexpr std::size_t kLongestPlainWord = 40;
constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

}  // namespace

MergeTable::MergeTable(std::size_t num_merges) {
  const std::size_t num_slots = std::bit_ceil(std::max<std::size_t>(16, num_merges * 2));
  slots_.resize(num_slots);
  mask_ = num_slots - 1;
  shift_ = 64 - std::countr_zero(num_slots);
}

void MergeTable::add(TokenId left, TokenId right, Merge merge) {
  const std::uint64_t key = pack_pair(left, right);
  std::size_t slot = slot_of(key);
  while (slots_[slot].key != kEmpty && slots_[slot].key != key) slot = (slot + 1) & mask_;
  slots_[slot] = {key, merge};
}

void MergeTable::apply(std::vector<TokenId>& ids) const {
  if (ids.size() <= kLongestPlainWord) {
    apply_plain(ids);
  } else {
    apply_with_heap(ids);
  }
}

void MergeTable::apply_plain(std::vector<TokenId>& ids) const {
  thread_local std::vector<Merge> merges;  // merges[i] joins ids[i] and ids[i + 1]
  const auto merge_at = [&](std::size_t i) {
    const Merge* found = i + 1 < ids.size() ? find(ids[i], ids[i + 1]) : nullptr;
    return found != nullptr ? *found : Merge{kNoRank, 0};
  };
  merges.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) merges.push_back(merge_at(i));
  while (ids.size() > 1) {
    const auto best =
        std::min_element(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
    if (best->rank == kNoRank) return;
    const auto at = static_cast<std::size_t>(best - merges.begin());
    ids[at] = best->product;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    merges.erase(best);
    merges[at] = merge_at(at);
    if (at > 0) merges[at - 1] = merge_at(at - 1);
  }
}

void MergeTable::apply_with_heap(std::vector<TokenId>& ids) const {
  struct Node {
    std::size_t previous, next;
    bool alive;
  };
  using Candidate = std::tuple<std::uint32_t, std::size_t, std::uint64_t>;  // rank, place of the left token, the pair
  const std::size_t end = ids.size();
  std::vector<Node> nodes(end);
  for (std::size_t i = 0; i < end; ++i) nodes[i] = {i == 0 ? end : i - 1, i + 1, true};
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::size_t left) {
    if (left == end || nodes[left].next == end) return;
    const TokenId a = ids[left], b = ids[nodes[left].next];
    if (const Merge* merge = find(a, b)) queue.emplace(merge->rank, left, pack_pair(a, b));
  };
  for (std::size_t i = 0; i < end; ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left, pair] = queue.top();
    queue.pop();
    if (!nodes[left].alive) continue;
    const std::size_t right = nodes[left].next;
    if (right == end || pack_pair(ids[left], ids[right]) != pair) continue;  // a neighbour changed meanwhile
    ids[left] = find(ids[left], ids[right])->product;
    nodes[right].alive = false;
    nodes[left].next = nodes[right].next;
    if (nodes[left].next != end) nodes[nodes[left].next].previous = left;
    offer(left);
    offer(nodes[left].previous);
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < end; ++i) {
    if (nodes[i].alive) ids[kept++] = ids[i];
  }
  ids.resize(kept);
}

}  // namespace capstan::text
