// What a path holds, told by the layer that wrote it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "capstan/app/build.h"
#include "capstan/checkpoint/manifest.h"
#include "capstan/checkpoint/run_dir.h"
#include "capstan/checkpoint/safetensors.h"
#include "capstan/checkpoint/torch_archive.h"
#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/core/files.h"
#include "capstan/data/inspect.h"
#include "capstan/models/inspect.h"
#include "capstan/report/describe.h"
#include "capstan/text/tokenizer.h"

namespace capstan::app {
namespace {

std::string describe_tensors(const TensorMap& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const auto size : tensor.sizes()) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    text += fmt::format("{:<72} {:<10} [{}]\n", name, dtype_name(tensor.scalar_type()), shape);
  }
  return text;
}

std::string describe_files(const fs::path& directory) {
  std::string text = "files:\n";
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file())
      text +=
          fmt::format("{:>12}  {}\n", human_bytes(entry.file_size()), fs::relative(entry.path(), directory).string());
  return text;
}

std::string describe_tokenizer(const fs::path& path) {
  const auto tokenizer = load_tokenizer(path);
  const auto id = [](std::optional<std::int64_t> value) { return value ? std::to_string(*value) : "none"; };
  return fmt::format("tokenizer: {}, {} ids; bos {}, eos {}, pad {}, unk {}\n", tokenizer->kind(),
                     tokenizer->vocab_size(), id(tokenizer->bos_token_id()), id(tokenizer->eos_token_id()),
                     id(tokenizer->pad_token_id()), id(tokenizer->unk_token_id()));
}

std::string describe_file(const fs::path& path) {
  const auto extension = path.extension();
  if (extension == ".h5") return describe_shard(path);
  if (extension == ".safetensors") return describe_tensors(read_safetensors(path));
  if (extension == ".bin" || extension == ".pt" || extension == ".pth")
    return describe_tensors(read_torch_archive(path));
  if (extension == ".model" || path.filename() == "tokenizer.json") return describe_tokenizer(path);
  throw DataError(fmt::format(
      "{}: is none of the files capstan knows (.h5 shard, .safetensors, .bin or .pt weights, .model, tokenizer.json)",
      path.string()));
}

}  // namespace

std::string inspect(const fs::path& path) {
  if (!fs::exists(path)) throw DataError(path.string() + ": no such file or folder");
  if (fs::is_regular_file(path)) return describe_file(path);
  if (fs::exists(path / "trainer_state.json")) return describe_checkpoint(path) + "\n" + describe_model(path);
  if (fs::exists(path / "config.json"))
    return describe_model(path) + (fs::exists(path / "export_report.json") ? "\n" + describe_files(path) : "");
  if (!list_checkpoints(path).empty() || fs::exists(path / "metrics.jsonl")) return describe_run(path);
  if (fs::exists(path / "manifest.json")) return describe_cache(path);
  if (fs::exists(path / "tokenizer.json") || fs::exists(path / "tokenizer_config.json"))
    return describe_tokenizer(path);
  throw DataError(
      fmt::format("{}: is no cache (manifest.json), run (checkpoint-*), model (config.json) or tokenizer "
                  "(tokenizer.json)",
                  path.string()));
}

std::string inspect_json(const fs::path& path) {
  if (!fs::is_directory(path)) throw DataError(path.string() + ": no such folder; json=true needs a model folder");
  return model_facts(resolve_model_directory(path)).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

std::vector<std::string> verify(const fs::path& path) {
  if (!fs::exists(path / "manifest.json"))
    throw DataError(path.string() + ": has no manifest.json, expected a cache or a checkpoint");
  return fs::exists(path / "trainer_state.json") ? verify_manifest(path) : verify_cache(path);
}

}  // namespace capstan::app
