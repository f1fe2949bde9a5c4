// A file of weights in memory, and tensors that look into it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace capstan {

// The whole file, private and writable: a tensor may be changed in place without touching the file, and only pages
// that are used take memory.
class PrivateMapping {
 public:
  // `kind` names what was expected in messages: "a safetensors file". CheckpointError when it cannot be mapped.
  PrivateMapping(const std::filesystem::path& path, const char* kind);
  ~PrivateMapping();
  PrivateMapping(const PrivateMapping&) = delete;
  PrivateMapping& operator=(const PrivateMapping&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Elements of one type in a row, kept alive by their owner.
struct MappedStorage {
  std::span<std::byte> bytes;
  std::shared_ptr<const void> owner;
  c10::ScalarType dtype = c10::ScalarType::Float;
};

// The bytes as elements of `dtype`: in place, or copied where they lie at an address that torch may not read that type
// from. CheckpointError, naming `path` and `name`, for booleans other than 0 and 1.
MappedStorage as_storage(const std::shared_ptr<PrivateMapping>& mapping, std::span<std::byte> bytes,
                         c10::ScalarType dtype, const std::filesystem::path& path, const std::string& name);

// The caller has checked that offset, sizes and strides stay inside the storage.
at::Tensor tensor_in(const MappedStorage& storage, std::int64_t offset, at::IntArrayRef sizes, at::IntArrayRef strides);
at::Tensor tensor_in(const MappedStorage& storage, at::IntArrayRef sizes);  // contiguous, from the start

}  // namespace capstan
