// The archive's entries as storages, and its pickle as views of them.
#include "capstan/checkpoint/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "capstan/core/error.h"
#include "checkpoint/mapping.h"
#include "checkpoint/pickle.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/zip.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPickleEntry = "/data.pkl";
constexpr std::uint64_t kMaxPickleBytes = 64u << 20;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw CheckpointError(
      fmt::format("{}: {}. Not a usable torch.save file; copy or download it again.", path.string(), what));
}

[[noreturn]] void fail_without_zip(const fs::path& path, std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes[0] != std::byte{0x80}) fail(path, "it is no zip archive");
  const fs::path target = fs::path(path).replace_filename(
      path.filename() == "pytorch_model.bin" ? "model.safetensors" : path.stem().string() + ".safetensors");
  throw CheckpointError(fmt::format(
      "{0}: is in the format of torch before 1.6, which is not read. Convert it once with\n"
      "  python -c \"import torch, safetensors.torch as s; s.save_file({{k: v.clone().contiguous() for k, v in "
      "torch.load('{0}', map_location='cpu', weights_only=True).items()}}, '{1}', metadata={{'format': 'pt'}})\"",
      path.string(), target.string()));
}

class Archive {
 public:
  explicit Archive(const fs::path& path)
      : path_(path), mapping_(std::make_shared<PrivateMapping>(path, "a file of torch.save")) {
    if (!is_zip(mapping_->bytes())) fail_without_zip(path, mapping_->bytes());
    entries_ = read_stored_zip(mapping_->bytes(), path.string());
    // Everything lies in one folder, named after the file that was written.
    for (const auto& [name, entry] : entries_) {
      if (!name.ends_with(kPickleEntry)) continue;
      if (!root_.empty()) fail(path, "it holds more than one data.pkl");
      root_ = name.substr(0, name.size() - kPickleEntry.size());
    }
    if (root_.empty()) fail(path, "it holds no data.pkl");
    check_byte_order();
  }

  std::vector<PickledTensor> tensors() const {
    const std::span<std::byte> pickle = content(root_ + std::string(kPickleEntry));
    if (pickle.size() > kMaxPickleBytes)
      fail(path_, fmt::format("its pickle has {} bytes; at most {} are read", pickle.size(), kMaxPickleBytes));
    return read_state_dict(pickle, path_.string());
  }

  at::Tensor make(const PickledTensor& tensor) {
    const auto found = storages_.find(tensor.storage);
    const MappedStorage& storage = found != storages_.end() ? found->second : open(tensor);
    if (storage.dtype != tensor.dtype)
      fail(path_,
           fmt::format("the storage {} of {} is used with two types", shown(tensor.storage), shown(tensor.name)));
    if (storage.bytes.size() / c10::elementSize(storage.dtype) != tensor.storage_numel)
      fail_size(tensor, storage.bytes);
    return tensor_in(storage, tensor.offset, tensor.sizes, tensor.strides);
  }

 private:
  [[noreturn]] void fail_size(const PickledTensor& tensor, std::span<const std::byte> bytes) const {
    fail(path_,
         fmt::format("the storage {} of {} has {} bytes; its pickle says {} elements of {}", shown(tensor.storage),
                     shown(tensor.name), bytes.size(), tensor.storage_numel, c10::toString(tensor.dtype)));
  }

  std::span<std::byte> content(const std::string& name) const {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) fail(path_, fmt::format("the entry {} is missing", shown(name)));
    return mapping_->bytes().subspan(entry->second.offset, entry->second.size);
  }

  // Written since torch 2.1; before, files were little-endian wherever this runs.
  void check_byte_order() const {
    if (!entries_.contains(root_ + "/byteorder")) return;
    const auto bytes = content(root_ + "/byteorder");
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text != "little")
      fail(path_, fmt::format("its byte order is {}; expected \"little\"", shown(std::string(text))));
  }

  const MappedStorage& open(const PickledTensor& tensor) {
    const auto bytes = content(root_ + "/data/" + tensor.storage);
    if (bytes.size() % c10::elementSize(tensor.dtype) != 0) fail_size(tensor, bytes);
    return storages_.emplace(tensor.storage, as_storage(mapping_, bytes, tensor.dtype, path_, tensor.name))
        .first->second;
  }

  fs::path path_;
  std::shared_ptr<PrivateMapping> mapping_;
  std::map<std::string, ZipEntry> entries_;
  std::string root_;
  std::map<std::string, MappedStorage> storages_;
};

}  // namespace

TensorMap read_torch_archive(const fs::path& path) {
  Archive archive(path);
  TensorMap tensors;
  for (const PickledTensor& tensor : archive.tensors()) tensors.emplace(tensor.name, archive.make(tensor));
  return tensors;
}

}  // namespace capstan
