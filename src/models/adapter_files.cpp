// peft's adapter folders. Tensors are called base_model.model.<module of transformers>.lora_A.weight.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "capstan/core/error.h"
#include "capstan/core/log.h"
#include "capstan/core/strings.h"
#include "capstan/models/adapters.h"
#include "models/adapter_parts.h"

namespace capstan {
namespace {

constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";

TensorMap read_weights(const std::filesystem::path& directory) {
  const auto path = directory / kWeightsFile;
  if (!std::filesystem::is_regular_file(path))
    throw CheckpointError(
        fmt::format("{} is missing; save the adapter with safe_serialization=True, as peft does unless "
                    "told otherwise",
                    path.string()));
  return read_safetensors(path);
}

// A folder's tensors by the published names of what they belong to.
struct AdapterWeights {
  std::map<std::string, at::Tensor> a, b;  // by layer
  TensorMap saved;                         // by parameter
};

[[noreturn]] void refuse(const std::filesystem::path& directory, const std::string& what) {
  throw CheckpointError(
      fmt::format("{}: {}. The adapter is of another model, or broken.", (directory / kWeightsFile).string(), what));
}

std::string sizes_text(at::IntArrayRef sizes) {
  std::vector<std::string> parts;
  for (const std::int64_t size : sizes) parts.push_back(std::to_string(size));
  return join(parts, ", ");
}

void require_shape(const std::filesystem::path& directory, const std::string& name, const at::Tensor& tensor,
                   std::vector<std::int64_t> expected) {
  if (tensor.sizes() != at::IntArrayRef(expected))
    refuse(directory, fmt::format("{} is of shape [{}], the model takes [{}]", name, sizes_text(tensor.sizes()),
                                  sizes_text(expected)));
}

// Both ways to call a thing, so that adapters made with transformers 4 open too.
template <class Names>
std::map<std::string, std::string> lookup(const Names& names) {
  std::map<std::string, std::string> result;
  for (const std::string& name : names) {
    result.emplace(name, name);
    result.emplace(transformers_name(name), name);
  }
  return result;
}

AdapterWeights sort_weights(const VisionEncoderDecoder& model, const TensorMap& tensors, const LoraConfig& config,
                            const std::filesystem::path& directory) {
  std::map<std::string, const LoraLayer*> layers;
  for (const NamedLayer& item : linear_layers(model)) layers.emplace(item.name, item.layer);
  std::vector<std::string> layer_names, parameter_names;
  for (const auto& [name, layer] : layers) layer_names.push_back(name);
  const TensorMap state = model.state();
  for (const auto& [name, tensor] : state) parameter_names.push_back(name);
  const auto layer_of = lookup(layer_names);
  const auto parameter_of = lookup(parameter_names);

  AdapterWeights result;
  std::vector<std::string> unknown;
  for (const auto& [key, tensor] : tensors) {
    const std::string name = key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : key;
    const bool is_a = name.ends_with(kA);
    if (is_unused(name)) continue;
    if (is_a || name.ends_with(kB)) {
      const auto layer = layer_of.find(name.substr(0, name.size() - kA.size()));
      if (layer == layer_of.end()) {
        unknown.push_back(key);
        continue;
      }
      const LoraLayer& own = *layers.at(layer->second);
      require_shape(directory, key, tensor,
                    is_a ? std::vector<std::int64_t>{config.r, own.in_features()}
                         : std::vector<std::int64_t>{own.out_features(), config.r});
      (is_a ? result.a : result.b).emplace(layer->second, tensor);
    } else if (const auto parameter = parameter_of.find(name); parameter != parameter_of.end()) {
      require_shape(directory, key, tensor, state.at(parameter->second).sizes().vec());
      result.saved.emplace(parameter->second, tensor);
    } else {
      unknown.push_back(key);
    }
  }
  if (unknown.size() > 5) unknown.resize(5);
  if (!unknown.empty()) refuse(directory, "the model has no place for " + join(unknown, ", "));
  for (const auto& [name, tensor] : result.a)
    if (!result.b.contains(name)) refuse(directory, name + " has lora_A without lora_B");
  if (result.a.empty() || result.a.size() != result.b.size()) refuse(directory, "lora_A and lora_B do not pair up");
  return result;
}

void copy_values(VisionEncoderDecoder& model, const AdapterWeights& weights) {
  const at::NoGradGuard no_grad;
  for (const NamedLayer& item : linear_layers(model)) {
    if (!weights.a.contains(item.name)) continue;
    at::Tensor(item.layer->lora_a()).copy_(weights.a.at(item.name));
    at::Tensor(item.layer->lora_b()).copy_(weights.b.at(item.name));
  }
  TensorMap state = model.state();
  for (const auto& [name, tensor] : weights.saved) state.at(name).copy_(tensor);
}

// Modules around the parameters, outermost only: peft wraps each of them whole.
std::vector<std::string> modules_around(const std::vector<std::string>& parameters) {
  std::set<std::string> modules;
  for (const std::string& name : parameters) modules.insert(transformers_name(name.substr(0, name.rfind('.'))));
  std::vector<std::string> outermost;
  for (const std::string& module : modules)  // in order, so that an outer module comes before its parts
    if (std::ranges::none_of(outermost, [&](const auto& outer) { return module.starts_with(outer + "."); }))
      outermost.push_back(module);
  return outermost;
}

}  // namespace

LoraConfig load_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory) {
  if (has_adapter(model))
    throw CheckpointError(directory.string() + ": the model has an adapter already; it takes one");
  const LoraConfig config = read_adapter_config(directory);
  const AdapterWeights weights = sort_weights(model, read_weights(directory), config, directory);
  for (const NamedLayer& item : linear_layers(model))
    if (weights.a.contains(item.name))
      item.layer->attach_lora({.rank = config.r, .scale = config.scale(), .dropout = config.lora_dropout});
  copy_values(model, weights);
  log_debug(fmt::format("{}: adapter of rank {} on {} layers", directory.string(), config.r, weights.a.size()));
  return config;
}

void restore_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory) {
  unmerge_adapter(model);
  const LoraConfig config = read_adapter_config(directory);
  const AdapterWeights weights = sort_weights(model, read_weights(directory), config, directory);
  for (const NamedLayer& item : linear_layers(model)) {
    if (item.layer->has_lora() != weights.a.contains(item.name))
      refuse(directory, fmt::format("it adapts other layers than this run, {} for one", item.name));
    if (item.layer->has_lora() && (item.layer->lora().rank != config.r || item.layer->lora().scale != config.scale()))
      refuse(directory, fmt::format("it has r {} and lora_alpha {}, this run has others", config.r, config.lora_alpha));
  }
  copy_values(model, weights);
}

void apply_adapter(VisionEncoderDecoder& model, const std::filesystem::path& directory) {
  load_adapter(model, directory);
  merge_adapter(model);
  remove_adapter(model);
}

AdapterSnapshot snapshot_adapter(const VisionEncoderDecoder& model, const LoraConfig& config, const std::string& base) {
  AdapterSnapshot snapshot{.config = config, .base = base, .tensors = {}, .targets = {}, .modules = {}};
  const std::string prefix(kPrefix);
  for (const NamedLayer& item : linear_layers(model)) {
    if (!item.layer->has_lora()) continue;
    snapshot.targets.push_back(transformers_name(item.name));
    snapshot.tensors[prefix + snapshot.targets.back() + std::string(kA)] = item.layer->lora_a().detach();
    snapshot.tensors[prefix + snapshot.targets.back() + std::string(kB)] = item.layer->lora_b().detach();
  }
  const std::vector<std::string> saved = saved_parameters(model, config);
  const TensorMap state = model.state();
  for (const std::string& name : saved) snapshot.tensors[prefix + transformers_name(name)] = state.at(name);
  snapshot.modules = modules_around(saved);
  return snapshot;
}

void write_adapter(const AdapterSnapshot& snapshot, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  write_safetensors(directory / kWeightsFile, snapshot.tensors);
  write_adapter_config(snapshot.config, snapshot.targets, snapshot.modules, snapshot.base, directory);
}

void save_adapter(const VisionEncoderDecoder& model, const LoraConfig& config, const std::filesystem::path& directory,
                  const std::string& base) {
  write_adapter(snapshot_adapter(model, config, base), directory);
}

}  // namespace capstan
