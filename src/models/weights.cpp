// Names in files against names in the model, and initial values told by the name.
#include "models/weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/nn/init.h"

namespace capstan {
namespace {

constexpr std::string_view kEmbedding = "decoder.transformer.wte.weight";
constexpr std::string_view kHead = "decoder.lm_head.weight";

// Names of transformers 5's ViT modules and those that its files (and all published ones) carry.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEncoderNames{
    {{"encoder.layers.", "encoder.encoder.layer."},
     {".attention.q_proj.", ".attention.attention.query."},
     {".attention.k_proj.", ".attention.attention.key."},
     {".attention.v_proj.", ".attention.attention.value."},
     {".attention.o_proj.", ".attention.output.dense."},
     {".mlp.fc1.", ".intermediate.dense."},
     {".mlp.fc2.", ".output.dense."}}};

std::string reference_name(std::string name) {
  if (!name.starts_with("encoder.")) return name;
  for (const auto& [module, file] : kEncoderNames)
    if (const auto at = name.find(module); at != std::string::npos) name.replace(at, module.size(), file);
  return name;
}

// Causal masks that transformers before 4.31 saved with GPT-2.
bool is_mask_buffer(std::string_view name) {
  for (const std::string_view end :
       {".attn.bias", ".attn.masked_bias", ".crossattention.bias", ".crossattention.masked_bias"})
    if (name.starts_with("decoder.") && name.ends_with(end)) return true;
  return false;
}

std::string shape_text(const at::Tensor& tensor) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : tensor.sizes()) sizes.push_back(std::to_string(size));
  return fmt::format("[{}]", join(sizes, ", "));
}

}  // namespace

TensorMap reference_names(const TensorMap& tensors) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    if (is_mask_buffer(name)) continue;
    if (!result.emplace(reference_name(name), tensor).second)
      throw CheckpointError(
          fmt::format("the weights hold {} under two names; keep one of them.", reference_name(name)));
  }
  return result;
}

void settle_tied_head(TensorMap& tensors) {
  const auto head = tensors.find(std::string(kHead));
  if (head == tensors.end()) return;
  const auto embedding = tensors.find(std::string(kEmbedding));
  if (embedding == tensors.end()) {
    tensors.emplace(kEmbedding, head->second);
  } else if (!at::equal(embedding->second, head->second)) {
    throw CheckpointError(
        fmt::format("{} and {} differ, but decoder.tie_word_embeddings in config.json says they are "
                    "one; set it to false.",
                    kHead, kEmbedding));
  }
  tensors.erase(head);
}

LoadReport match_weights(const TensorMap& parameters, const TensorMap& tensors) {
  LoadReport report;
  std::vector<std::string> mismatched;
  for (const auto& [name, parameter] : parameters) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!is_optional_weight(name)) report.newly_initialized.push_back(name);
    } else if (found->second.sizes() != parameter.sizes()) {
      mismatched.push_back(
          fmt::format("{} (file {}, model {})", name, shape_text(found->second), shape_text(parameter)));
    }
  }
  for (const auto& [name, tensor] : tensors)
    if (!parameters.contains(name)) report.unexpected.push_back(name);
  if (!mismatched.empty())
    throw CheckpointError(name_list(mismatched, "have another shape than config.json says") +
                          ". Use the weights and the config.json of the same model.");
  return report;
}

std::string name_list(const std::vector<std::string>& names, const std::string& what) {
  constexpr std::size_t kMaxShown = 10;
  const std::vector<std::string> first(names.begin(), names.begin() + std::min(names.size(), kMaxShown));
  std::string text = fmt::format("{} weights {}: {}", names.size(), what, join(first, ", "));
  if (names.size() > kMaxShown) text += fmt::format(" and {} more", names.size() - kMaxShown);
  return text;
}

bool is_optional_weight(const std::string& name) { return name.starts_with("encoder.pooler."); }

void init_weights(const TensorMap& state, const std::vector<std::string>& names,
                  const VisionEncoderDecoderConfig& config, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (const std::string& name : names) {
    at::Tensor parameter = state.at(name);
    if (name.ends_with(".bias")) {
      parameter.zero_();
    } else if (parameter.dim() == 1) {
      parameter.fill_(1);  // scale of a layer normalisation
    } else {
      // Truncation as for ViT's tables lies a hundred deviations away, so plain normal is the same.
      double std = name.starts_with("encoder.") ? config.encoder.initializer_range : config.decoder.initializer_range;
      if (name.starts_with("decoder.") && name.ends_with(".c_proj.weight"))
        std /= std::sqrt(2.0 * config.decoder.n_layer);
      init_normal(parameter, std, seed, name);
    }
  }
}

}  // namespace capstan
