// Choosing layers by peft's rules, and adapters on all of them at once.
#include "capstan/models/adapters.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "capstan/core/error.h"
#include "capstan/core/random.h"
#include "capstan/nn/patterns.h"
#include "models/adapter_parts.h"

namespace capstan {
namespace {

constexpr const char* kAllLinear = "all-linear";

// Modules of ViT and DeiT; SigLIP's differ only in the tower's name, which transformers 5 leaves out.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kModuleNames{
    {{".attention.attention.query", ".attention.q_proj"},
     {".attention.attention.key", ".attention.k_proj"},
     {".attention.attention.value", ".attention.v_proj"},
     {".attention.output.dense", ".attention.o_proj"},
     {".intermediate.dense", ".mlp.fc1"},
     {".output.dense", ".mlp.fc2"}}};

bool selects(const std::string& entry, const std::string& name) {
  return selects_module(entry, name) || selects_module(entry, transformers_name(name));
}

bool any_selects(const std::vector<std::string>& entries, const std::string& name) {
  return std::ranges::any_of(entries, [&](const std::string& entry) { return selects(entry, name); });
}

// Whether `name` lies in a module that `entry` of modules_to_save selects.
bool lies_in(const std::string& entry, const std::string& name) {
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
    if (selects(entry, name.substr(0, dot))) return true;
  return selects(entry, name);
}

[[noreturn]] void refuse(const char* key, const std::string& entry, const char* what,
                         const std::vector<std::string>& names) {
  throw ConfigError(
      fmt::format("lora.{}: '{}' selects no {} of the model.{}", key, entry, what, nearest_name(entry, names)));
}

std::vector<NamedLayer> targets(const VisionEncoderDecoder& model, const LoraConfig& config) {
  const std::vector<NamedLayer> layers = linear_layers(model);
  std::vector<std::string> names;
  for (const NamedLayer& layer : layers) names.push_back(layer.name);
  for (const auto* entries : {&config.target_modules, &config.exclude_modules})
    for (const std::string& entry : *entries)
      if (entry != kAllLinear && std::ranges::none_of(names, [&](const auto& name) { return selects(entry, name); }))
        refuse(entries == &config.target_modules ? "target_modules" : "exclude_modules", entry, "linear layer", names);
  std::vector<NamedLayer> chosen;
  for (const NamedLayer& layer : layers) {
    const bool wanted = std::ranges::find(config.target_modules, kAllLinear) != config.target_modules.end() ||
                        any_selects(config.target_modules, layer.name);
    const bool saved = std::ranges::any_of(config.modules_to_save,
                                           [&](const std::string& entry) { return lies_in(entry, layer.name); });
    if (wanted && !saved && !any_selects(config.exclude_modules, layer.name)) chosen.push_back(layer);
  }
  if (chosen.empty()) throw ConfigError("lora: no linear layer is left to adapt; change target_modules");
  return chosen;
}

// Uniform as torch.nn.Linear draws its weight: kaiming with a = sqrt(5) comes to a bound of 1 / sqrt(in).
void init_a(at::Tensor a, std::uint64_t seed, const std::string& name) {
  const at::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(stream_seed(seed, name + ".lora_A"));
  const double bound = 1 / std::sqrt(static_cast<double>(a.size(1)));
  a.copy_(at::empty(a.sizes()).uniform_(-bound, bound, generator));
}

}  // namespace

void LoraConfig::check(std::vector<std::string>& problems) const {
  if (r > 0 && target_modules.empty())
    problems.emplace_back("target_modules is empty; name linear layers, or all-linear");
}

double LoraConfig::scale() const { return lora_alpha / (use_rslora ? std::sqrt(static_cast<double>(r)) : r); }

bool is_unused(const std::string& name) {
  const std::string module = transformers_name(name);
  return module.starts_with("encoder.pooler.") || module.starts_with("encoder.head.");
}

std::string transformers_name(std::string name) {
  constexpr std::string_view kTower = "encoder.vision_model.";
  constexpr std::string_view kLayers = "encoder.encoder.layer.";
  if (name.starts_with(kTower)) return name.replace(0, kTower.size(), "encoder.");
  if (!name.starts_with(kLayers)) return name;
  name.replace(0, kLayers.size(), "encoder.layers.");
  for (const auto& [published, module] : kModuleNames)
    if (const auto at = name.find(published); at != std::string::npos)
      return name.replace(at, published.size(), module);
  return name;
}

std::vector<std::string> saved_parameters(const VisionEncoderDecoder& model, const LoraConfig& config) {
  std::vector<std::string> names, all;
  for (const auto& item : model.named_parameters())
    if (!is_adapter_parameter(item.key())) all.push_back(item.key());
  std::vector<bool> used(config.modules_to_save.size());
  for (const std::string& name : all) {
    bool saved = false;
    for (std::size_t i = 0; i < used.size(); ++i)
      if (lies_in(config.modules_to_save[i], name.substr(0, name.rfind('.')))) saved = used[i] = true;
    if (saved) names.push_back(name);
  }
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i]) refuse("modules_to_save", config.modules_to_save[i], "module", all);
  return names;
}

std::vector<NamedLayer> linear_layers(const VisionEncoderDecoder& model) {
  std::vector<NamedLayer> layers;
  for (const auto& item : model.named_modules("", /*include_self=*/false))
    if (auto* layer = dynamic_cast<LoraLayer*>(item.value().get()); layer != nullptr && !is_unused(item.key()))
      layers.push_back({item.key(), layer});
  return layers;
}

void add_adapter(VisionEncoderDecoder& model, const LoraConfig& config, std::uint64_t seed) {
  const std::vector<NamedLayer> chosen = targets(model, config);
  const std::vector<std::string> saved = saved_parameters(model, config);
  for (const auto& item : model.named_parameters())
    item.value().set_requires_grad(std::ranges::find(saved, item.key()) != saved.end());
  for (const NamedLayer& target : chosen) {
    target.layer->attach_lora({.rank = config.r, .scale = config.scale(), .dropout = config.lora_dropout});
    init_a(target.layer->lora_a(), seed, target.name);
  }
}

bool has_adapter(const VisionEncoderDecoder& model) {
  return std::ranges::any_of(linear_layers(model), [](const NamedLayer& item) { return item.layer->has_lora(); });
}

bool is_adapter_parameter(std::string_view name) {
  return name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight");
}

void merge_adapter(VisionEncoderDecoder& model) {
  for (const NamedLayer& item : linear_layers(model)) item.layer->merge_lora();
}

void unmerge_adapter(VisionEncoderDecoder& model) {
  for (const NamedLayer& item : linear_layers(model)) item.layer->unmerge_lora();
}

void remove_adapter(VisionEncoderDecoder& model) {
  for (const NamedLayer& item : linear_layers(model)) item.layer->remove_lora();
}

MergedAdapter::MergedAdapter(VisionEncoderDecoder& model) : model_(nullptr) {
  const bool open = std::ranges::any_of(
      linear_layers(model), [](const NamedLayer& item) { return item.layer->has_lora() && !item.layer->merged(); });
  if (!open) return;
  model_ = &model;
  merge_adapter(model);
}

MergedAdapter::~MergedAdapter() {
  if (model_ != nullptr) unmerge_adapter(*model_);
}

}  // namespace capstan
