// Where large tensors of this process get their memory.
#pragma once
#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

namespace capstan {

// Blocks from one stretch of addresses, kept when they are freed and joined with their neighbours; the lowest free
// place that is large enough is taken. The steps of a training ask for the same sizes again and again, and so find
// them where they were the step before; the C library would clear fresh memory for each (a quarter of a step's time)
// or, told to keep it, scatter what lives long between the large blocks. Thread-safe.
class BlockHeap {
 public:
  // Sets addresses for `most` bytes aside, without taking memory. reserved() is 0 where the system refuses.
  explicit BlockHeap(std::size_t most);
  ~BlockHeap();  // no block may be in use any more
  BlockHeap(const BlockHeap&) = delete;
  BlockHeap& operator=(const BlockHeap&) = delete;

  // Page-aligned, not cleared; nullptr where the addresses or the memory are used up.
  void* allocate(std::size_t size);
  void free(void* block);
  bool contains(const void* address) const;

  std::size_t reserved() const { return most_; }
  std::size_t used() const;       // bytes in blocks
  std::size_t committed() const;  // bytes that may have been touched so far

 private:
  bool grow_to(std::size_t end);

  char* base_ = nullptr;
  std::size_t most_ = 0;
  mutable std::mutex mutex_;
  std::size_t committed_ = 0, used_ = 0;
  std::map<std::size_t, std::size_t> free_;             // offset -> size; no two touch
  std::unordered_map<std::size_t, std::size_t> sizes_;  // of blocks in use
};

// From now on tensors of a megabyte and more that are made on the CPU come from one BlockHeap for the whole process.
// Does nothing the second time, under AddressSanitizer, or where addresses cannot be set aside.
void use_block_heap();

}  // namespace capstan
