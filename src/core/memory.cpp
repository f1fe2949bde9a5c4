#include "capstan/core/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "capstan/core/error.h"

namespace capstan {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kGrowth = std::size_t{32} << 20;
constexpr std::size_t kSmallest = std::size_t{1} << 20;  // of tensors that are worth a block

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

BlockHeap::BlockHeap(std::size_t most) : most_(round_up(most, kPage)) {
  void* const place = ::mmap(nullptr, most_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) {
    most_ = 0;
    return;
  }
  base_ = static_cast<char*>(place);
  ::madvise(base_, most_, MADV_HUGEPAGE);  // fewer, larger pages where the system has them; else nothing is lost
}

BlockHeap::~BlockHeap() {
  if (base_ != nullptr) ::munmap(base_, most_);
}

void* BlockHeap::allocate(std::size_t size) {
  size = round_up(std::max<std::size_t>(size, 1), kPage);
  const std::scoped_lock lock(mutex_);
  auto place = std::find_if(free_.begin(), free_.end(), [&](const auto& block) { return block.second >= size; });
  if (place == free_.end()) {
    // The last free block may reach the end; the new one begins there.
    std::size_t offset = committed_;
    if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == committed_) offset = free_.rbegin()->first;
    if (size > most_ || offset > most_ - size || !grow_to(offset + size)) return nullptr;
    place = std::prev(free_.end());
  }
  const auto [offset, available] = *place;
  free_.erase(place);
  if (available > size) free_.emplace(offset + size, available - size);
  sizes_.emplace(offset, size);
  used_ += size;
  return base_ + offset;
}

// Afterwards the last free block reaches from where it was, or the old end, to the new one.
bool BlockHeap::grow_to(std::size_t end) {
  end = std::min(most_, round_up(end, kGrowth));
  if (::mprotect(base_ + committed_, end - committed_, PROT_READ | PROT_WRITE) != 0) return false;
  const bool joins = !free_.empty() && free_.rbegin()->first + free_.rbegin()->second == committed_;
  if (joins)
    free_.rbegin()->second += end - committed_;
  else
    free_.emplace(committed_, end - committed_);
  committed_ = end;
  return true;
}

void BlockHeap::free(void* block) {
  if (block == nullptr) return;
  const std::scoped_lock lock(mutex_);
  const auto offset = static_cast<std::size_t>(static_cast<char*>(block) - base_);
  const auto found = sizes_.find(offset);
  CAPSTAN_ASSERT(found != sizes_.end());
  std::size_t size = found->second;
  sizes_.erase(found);
  used_ -= size;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && offset + size == next->first) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size;
      return;
    }
  }
  free_.emplace_hint(next, offset, size);
}

bool BlockHeap::contains(const void* address) const {
  const auto* const at = static_cast<const char*>(address);
  return base_ != nullptr && at >= base_ && at < base_ + most_;
}

std::size_t BlockHeap::used() const {
  const std::scoped_lock lock(mutex_);
  return used_;
}

std::size_t BlockHeap::committed() const {
  const std::scoped_lock lock(mutex_);
  return committed_;
}

namespace {

// Never destroyed: tensors of static objects may be freed at the very end.
BlockHeap& process_heap() {
  static BlockHeap* const heap = [] {
    const auto pages = static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_PHYS_PAGES)));
    return new BlockHeap(4 * pages * kPage);
  }();
  return *heap;
}

void free_block(void* block) {
  if (process_heap().contains(block))
    process_heap().free(block);
  else
    c10::free_cpu(block);
}

class BlockAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    void* const block = size >= kSmallest ? process_heap().allocate(size) : c10::alloc_cpu(size);
    TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr || size < kSmallest, "can't allocate memory: ", size,
                     " more bytes for a tensor, beside ", process_heap().used(), " in use");
    return {block, block, &free_block, c10::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }
};

}  // namespace

void use_block_heap() {
#ifndef __SANITIZE_ADDRESS__
  static const bool once = [] {
    if (process_heap().reserved() == 0) return false;
    static BlockAllocator* const allocator = new BlockAllocator();
    c10::SetCPUAllocator(allocator, /*priority=*/1);
    return true;
  }();
  static_cast<void>(once);
#endif
}

}  // namespace capstan
