// Files as torch.save writes them, whole or put together piece by piece to be wrong in one place.
#pragma once
#include <ATen/core/Dict.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "capstan/checkpoint/safetensors.h"

namespace capstan::testing {

// What torch itself makes of a dictionary of tensors.
inline std::string torch_file(const TensorMap& tensors) {
  c10::Dict<std::string, at::Tensor> dict;
  for (const auto& [name, tensor] : tensors) dict.insert(name, tensor);
  const std::vector<char> bytes = torch::jit::pickle_save(dict);
  return {bytes.begin(), bytes.end()};
}

inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i, value = value >> 8) result += static_cast<char>(value & 0xff);
  return result;
}

// A zip archive of stored entries. Checksums are 0: nothing reads them.
inline std::string stored_zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string file, directory;
  for (const auto& [name, content] : entries) {
    const std::string sizes = little_endian(content.size(), 4) + little_endian(content.size(), 4) +
                              little_endian(name.size(), 2) + little_endian(0, 2);
    const std::string common = little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 8) + sizes;
    directory += "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2) + common + little_endian(0, 10) +
                 little_endian(file.size(), 4) + name;
    file += "PK\x03\x04" + little_endian(20, 2) + common + name + content;
  }
  const std::string end = "PK\x05\x06" + little_endian(0, 4) + little_endian(entries.size(), 2) +
                          little_endian(entries.size(), 2) + little_endian(directory.size(), 4) +
                          little_endian(file.size(), 4) + little_endian(0, 2);
  return file + directory + end;
}

// Pieces of a pickle of protocol 2.
inline std::string pickled(const std::string& text) { return "X" + little_endian(text.size(), 4) + text; }
inline std::string pickled(std::int64_t number) {
  return std::string("\x8a\x08", 2) + little_endian(static_cast<std::uint64_t>(number), 8);
}
inline std::string pickled(const std::vector<std::int64_t>& numbers) {
  std::string result = "(";
  for (const std::int64_t number : numbers) result += pickled(number);
  return result + "t";
}
inline std::string pickled_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

struct TensorPickle {
  std::string storage_type = "FloatStorage";
  std::string key = "0";
  std::int64_t storage_numel = 4;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes{2, 2}, strides{2, 1};
  std::string rebuild = "_rebuild_tensor_v2";
  std::string hooks = pickled_global("collections", "OrderedDict") + ")R";

  std::string bytes() const {
    return pickled_global("torch._utils", rebuild) + "((" + pickled("storage") + pickled_global("torch", storage_type) +
           pickled(key) + pickled("cpu") + pickled(storage_numel) + "tQ" + pickled(offset) + pickled(sizes) +
           pickled(strides) + "\x89" + hooks + "tR";
  }
};

// A dictionary of one entry, and the archive around a pickle with one storage of four numbers.
inline std::string pickled_dict(const std::string& key, const std::string& value) {
  return std::string("\x80\x02}(", 4) + key + value + "u.";
}
inline std::string archive_of(const std::string& pickle, const std::string& storage = std::string(16, '\0')) {
  return stored_zip({{"archive/data.pkl", pickle}, {"archive/byteorder", "little"}, {"archive/data/0", storage}});
}

}  // namespace capstan::testing
