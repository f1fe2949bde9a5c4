// The weights of a model folder: one file, or the shards that an index lists.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/checkpoint/torch_archive.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/core/json.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

struct Layout {
  const char* file;
  TensorMap (*read)(const fs::path&);
  bool sharded;
};

TensorMap read_one(const fs::path& path) { return read_safetensors(path); }

// The order in which transformers looks.
constexpr Layout kLayouts[] = {{"model.safetensors", read_one, false},
                               {"model.safetensors.index.json", read_one, true},
                               {"pytorch_model.bin", read_torch_archive, false},
                               {"pytorch_model.bin.index.json", read_torch_archive, true}};

constexpr std::uint64_t kMaxIndexBytes = 32u << 20;  // a hundred bytes per tensor are usual

// Tensor name -> file name, both checked to be strings and the file to lie in this folder.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const nlohmann::json index = parse_json(read_file(path, kMaxIndexBytes), path.string());
  const auto found = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || found == index.end() || !found->is_object())
    throw CheckpointError(
        fmt::format("{}: has no 'weight_map' object; expected tensor names and their files. "
                    "Copy or download the folder again.",
                    path.string()));
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : found->items()) {
    if (!file.is_string())
      throw CheckpointError(fmt::format("{}: the file of {} is not a string.", path.string(), shown(name)));
    const auto& text = file.get_ref<const std::string&>();
    if (text.empty() || text == "." || text == ".." || text.find_first_of(std::string("/\\\0", 3)) != std::string::npos)
      throw CheckpointError(fmt::format("{}: {} is said to be in {}; expected a file name in the same folder.",
                                        path.string(), shown(name), shown(text)));
    files[name] = text;
  }
  return files;
}

TensorMap read_shards(const fs::path& directory, const Layout& layout) {
  std::map<std::string, TensorMap> shards;
  TensorMap tensors;
  for (const auto& [name, file] : read_index(directory / layout.file)) {
    auto shard = shards.find(file);
    if (shard == shards.end()) {
      std::error_code ignored;  // a name too long for the file system is missing too
      if (!fs::exists(directory / file, ignored))
        throw CheckpointError(
            fmt::format("{}: the file {} that {} lists is missing. Copy or download it into the folder.",
                        directory.string(), shown(file), layout.file));
      shard = shards.emplace(file, layout.read(directory / file)).first;
    }
    const auto tensor = shard->second.find(name);
    if (tensor == shard->second.end())
      throw CheckpointError(
          fmt::format("{}: {} says that {} is in {}, which does not hold it. "
                      "The files do not belong together; copy or download the folder again.",
                      directory.string(), layout.file, shown(name), shown(file)));
    tensors[name] = tensor->second;
  }
  return tensors;
}

}  // namespace

TensorMap read_pretrained_tensors(const fs::path& directory) {
  for (const Layout& layout : kLayouts) {
    if (!fs::exists(directory / layout.file)) continue;
    return layout.sharded ? read_shards(directory, layout) : layout.read(directory / layout.file);
  }
  if (!fs::is_directory(directory))
    throw CheckpointError(fmt::format("{}: no such folder; expected a model folder with config.json and {}.",
                                      directory.string(), kLayouts[0].file));
  throw CheckpointError(fmt::format("{}: has neither {} nor {}, {} or {}; one of them must hold the weights.",
                                    directory.string(), kLayouts[0].file, kLayouts[1].file, kLayouts[2].file,
                                    kLayouts[3].file));
}

}  // namespace capstan
