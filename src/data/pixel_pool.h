// Memory of batches that are no longer used, for the next ones: fresh megabytes cost more than what is copied into
// them.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <memory>
#include <mutex>
#include <vector>

namespace capstan {

class PixelPool : public std::enable_shared_from_this<PixelPool> {
 public:
  explicit PixelPool(bool pin_memory) : pin_memory_(pin_memory) {}

  // uint8, not filled. Its memory comes back when the last tensor that shares it goes.
  at::Tensor take(at::IntArrayRef shape) {
    // Page-locked memory is kept and reused by LibTorch itself, which knows when copies from it have ended.
    if (pin_memory_) return at::empty(shape, at::TensorOptions(at::kByte).pinned_memory(true));
    const std::int64_t size = c10::multiply_integers(shape);
    at::Tensor memory = take_memory(size);
    void* const data = memory.mutable_data_ptr();
    return at::from_blob(
        data, shape, [pool = shared_from_this(), memory](void*) { pool->give_back(memory); }, at::kByte);
  }

 private:
  at::Tensor take_memory(std::int64_t size) {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty() && free_.back().numel() >= size) {
        at::Tensor memory = free_.back();
        free_.pop_back();
        return memory;
      }
    }
    return at::empty({size}, at::kByte);
  }

  void give_back(const at::Tensor& memory) {
    const std::lock_guard lock(mutex_);
    free_.push_back(memory);
  }

  const bool pin_memory_;
  std::mutex mutex_;
  std::vector<at::Tensor> free_;
};

}  // namespace capstan
