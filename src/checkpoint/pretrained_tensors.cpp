// The weights of a model folder: one file, or the shards that an index lists.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/core/error.h"
#include "capstan/core/json.h"
#include "checkpoint/safetensors_header.h"

namespace capstan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr const char* kPickleFile = "pytorch_model.bin";

// Tensor name -> file name, both checked to be strings and the file to lie in this folder.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const nlohmann::json index = read_json(path);
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

TensorMap read_shards(const fs::path& directory) {
  const std::map<std::string, std::string> index = read_index(directory / kIndexFile);
  std::map<std::string, TensorMap> shards;
  TensorMap tensors;
  for (const auto& [name, file] : index) {
    auto shard = shards.find(file);
    if (shard == shards.end()) {
      if (!fs::exists(directory / file))
        throw CheckpointError(
            fmt::format("{}: the file {} that {} lists is missing. Copy or download it into the folder.",
                        directory.string(), shown(file), kIndexFile));
      shard = shards.emplace(file, read_safetensors(directory / file)).first;
    }
    const auto tensor = shard->second.find(name);
    if (tensor == shard->second.end())
      throw CheckpointError(
          fmt::format("{}: {} says that {} is in {}, which does not hold it. "
                      "The files do not belong together; copy or download the folder again.",
                      directory.string(), kIndexFile, shown(name), shown(file)));
    tensors[name] = tensor->second;
  }
  return tensors;
}

[[noreturn]] void fail_without_weights(const fs::path& directory) {
  if (!fs::is_directory(directory))
    throw CheckpointError(fmt::format("{}: no such folder; expected a model folder with config.json and {}.",
                                      directory.string(), kSingleFile));
  if (fs::exists(directory / kPickleFile)) {
    const std::string in = (directory / kPickleFile).string();
    const std::string out = (directory / kSingleFile).string();
    throw CheckpointError(fmt::format(
        "{0}: has only {1}, a pickle file, which is not read because it can run code. Convert it once with\n"
        "  python -c \"import torch, safetensors.torch as s; s.save_file({{k: v.clone().contiguous() for k, v in "
        "torch.load('{2}', map_location='cpu', weights_only=True).items()}}, '{3}', metadata={{'format': 'pt'}})\"",
        directory.string(), kPickleFile, in, out));
  }
  throw CheckpointError(fmt::format("{}: has neither {} nor {}; one of them must hold the weights.", directory.string(),
                                    kSingleFile, kIndexFile));
}

}  // namespace

TensorMap read_pretrained_tensors(const fs::path& directory) {
  if (fs::exists(directory / kSingleFile)) return read_safetensors(directory / kSingleFile);
  if (fs::exists(directory / kIndexFile)) return read_shards(directory);
  fail_without_weights(directory);
}

}  // namespace capstan
