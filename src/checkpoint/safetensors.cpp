// Reading: the file is mapped once and the tensors look into it.
#include "capstan/checkpoint/safetensors.h"

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
#include <memory>

#include "capstan/core/error.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

// The whole file, private and writable: a tensor may be changed in place without touching the file.
class PrivateMapping {
 public:
  explicit PrivateMapping(const fs::path& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(path, errno);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor);
      throw CheckpointError(fmt::format("{}: not a regular file; expected a safetensors file.", path.string()));
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ > 0) {
      void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
      if (address == MAP_FAILED) {
        const int error = errno;
        ::close(descriptor);
        fail(path, error);
      }
      data_ = static_cast<std::byte*>(address);
    }
    ::close(descriptor);
  }
  ~PrivateMapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  PrivateMapping(const PrivateMapping&) = delete;
  PrivateMapping& operator=(const PrivateMapping&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  [[noreturn]] static void fail(const fs::path& path, int error) {
    throw CheckpointError(fmt::format("{}: cannot be read ({}). Check the path and its permissions.", path.string(),
                                      std::strerror(error)));
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Any other byte in a bool tensor would be undefined behaviour in every later use.
void check_bools(std::span<const std::byte> data, const TensorEntry& entry, const fs::path& path) {
  if (std::ranges::any_of(data, [](std::byte value) { return value > std::byte{1}; }))
    throw CheckpointError(fmt::format("{}: the BOOL tensor {} holds bytes other than 0 and 1; the file is damaged.",
                                      path.string(), shown(entry.name)));
}

at::Tensor make_tensor(const std::shared_ptr<PrivateMapping>& mapping, const TensorEntry& entry,
                       std::uint64_t data_offset, const fs::path& path) {
  const auto options = at::TensorOptions().dtype(entry.dtype);
  const auto data = mapping->bytes().subspan(data_offset + entry.begin, entry.end - entry.begin);
  if (data.empty()) return at::empty(entry.shape, options);
  if (entry.dtype == c10::ScalarType::Bool) check_bools(data, entry, path);
  // A header that is not padded leaves data unaligned, which torch may not touch.
  if (reinterpret_cast<std::uintptr_t>(data.data()) % c10::elementSize(entry.dtype) != 0) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
    return copy;
  }
  return at::from_blob(data.data(), entry.shape, [mapping](void*) {}, options);
}

}  // namespace

TensorMap read_safetensors(const fs::path& path, Metadata* metadata) {
  const auto mapping = std::make_shared<PrivateMapping>(path);
  const SafetensorsHeader header = parse_safetensors_header(mapping->bytes(), path.string());
  TensorMap tensors;
  for (const TensorEntry& entry : header.tensors)
    tensors.emplace(entry.name, make_tensor(mapping, entry, header.data_offset, path));
  if (metadata != nullptr) *metadata = header.metadata;
  return tensors;
}

}  // namespace capstan
