// Writing: one tensor at a time into a temporary file that replaces the old one when it is complete.
#include <ATen/core/Tensor.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

// Beside the target until commit(); removed when that is never reached.
class ReplacingFile {
 public:
  explicit ReplacingFile(const fs::path& path)
      : path_(path), temporary_(path.string() + fmt::format(".tmp-{}", ::getpid())) {
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("cannot be created");
  }
  ~ReplacingFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!committed_) ::unlink(temporary_.c_str());
  }
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("cannot be written");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0) fail("cannot be written");
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) fail("cannot be written");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be replaced");
    committed_ = true;
    sync_folder();
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw CheckpointError(fmt::format("{}: {} ({}). Check that the folder exists, is writable and has room.",
                                      path_.string(), what, std::strerror(errno)));
  }

  // Makes the rename itself durable; a file system that cannot do this is no reason to fail.
  void sync_folder() const {
    const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
  }

  fs::path path_;
  fs::path temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

c10::ScalarType written_dtype(const at::Tensor& tensor, std::optional<c10::ScalarType> float_dtype) {
  return tensor.is_floating_point() ? float_dtype.value_or(tensor.scalar_type()) : tensor.scalar_type();
}

std::vector<TensorEntry> lay_out(const TensorMap& tensors, std::optional<c10::ScalarType> float_dtype) {
  std::vector<TensorEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    CAPSTAN_ASSERT(tensor.defined() && name != "__metadata__");
    entries.push_back({.name = name, .dtype = written_dtype(tensor, float_dtype), .shape = tensor.sizes().vec()});
  }
  // The map is in name order already; a stable sort keeps that within a type.
  std::ranges::stable_sort(entries, {}, [](const TensorEntry& entry) { return dtype_rank(entry.dtype, entry.name); });
  std::uint64_t offset = 0;
  for (TensorEntry& entry : entries) {
    entry.begin = offset;
    offset += static_cast<std::uint64_t>(tensors.at(entry.name).numel()) * c10::elementSize(entry.dtype);
    entry.end = offset;
  }
  return entries;
}

}  // namespace

void write_safetensors(const fs::path& path, const TensorMap& tensors, const Metadata& metadata,
                       std::optional<c10::ScalarType> float_dtype) {
  Metadata all = metadata;
  all.emplace("format", "pt");
  const std::vector<TensorEntry> entries = lay_out(tensors, float_dtype);
  ReplacingFile file(path);
  file.write(make_safetensors_header(entries, all));
  for (const TensorEntry& entry : entries) {
    const at::Tensor tensor = tensors.at(entry.name).detach().cpu().to(entry.dtype).contiguous();
    file.write({static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
  file.commit();
}

}  // namespace capstan
