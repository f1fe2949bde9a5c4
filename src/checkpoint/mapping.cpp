// Mapping and the few lines that turn bytes into tensors.
#include "checkpoint/mapping.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "capstan/core/error.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, int error) {
  throw CheckpointError(
      fmt::format("{}: cannot be read ({}). Check the path and its permissions.", path.string(), std::strerror(error)));
}

// Any other byte in a bool tensor would be undefined behaviour in every later use.
void check_bools(std::span<const std::byte> data, const fs::path& path, const std::string& name) {
  if (std::ranges::any_of(data, [](std::byte value) { return value > std::byte{1}; }))
    throw CheckpointError(fmt::format("{}: the BOOL tensor {} holds bytes other than 0 and 1; the file is damaged.",
                                      path.string(), shown(name)));
}

}  // namespace

PrivateMapping::PrivateMapping(const fs::path& path, const char* kind) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, errno);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw CheckpointError(fmt::format("{}: not a regular file; expected {}.", path.string(), kind));
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ > 0) {
    // No reserve: the kernel need not promise memory for pages that nobody changes, so files may exceed it.
    void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(descriptor);
      fail(path, error);
    }
    data_ = static_cast<std::byte*>(address);
  }
  ::close(descriptor);
}

PrivateMapping::~PrivateMapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedStorage as_storage(const std::shared_ptr<PrivateMapping>& mapping, std::span<std::byte> bytes,
                         c10::ScalarType dtype, const fs::path& path, const std::string& name) {
  if (dtype == c10::ScalarType::Bool) check_bools(bytes, path, name);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % c10::elementSize(dtype) == 0) return {bytes, mapping, dtype};
  const auto copy = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return {{copy.get(), bytes.size()}, copy, dtype};
}

at::Tensor tensor_in(const MappedStorage& storage, std::int64_t offset, at::IntArrayRef sizes,
                     at::IntArrayRef strides) {
  const auto options = at::TensorOptions().dtype(storage.dtype);
  if (std::ranges::find(sizes, 0) != sizes.end()) return at::empty(sizes, options);
  std::byte* const first = storage.bytes.data() + static_cast<std::size_t>(offset) * c10::elementSize(storage.dtype);
  return at::from_blob(first, sizes, strides, [owner = storage.owner](void*) {}, options);
}

at::Tensor tensor_in(const MappedStorage& storage, at::IntArrayRef sizes) {
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::int64_t>(sizes[i], 1);
  return tensor_in(storage, 0, sizes, strides);
}

}  // namespace capstan
