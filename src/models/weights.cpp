// Names in files against names in the model, and initial values told by the name.
#include "models/weights.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/nn/init.h"

namespace capstan {
namespace {

constexpr std::string_view kEmbedding = "decoder.transformer.wte.weight";
constexpr std::string_view kHead = "decoder.lm_head.weight";

// What the encoder's family calls it; decoders have one name for all times.
std::string reference_name(const std::string& name, const VisionFamily& family) {
  constexpr std::string_view kPart = "encoder.";
  return name.starts_with(kPart) ? std::string(kPart) + family.published_name(name.substr(kPart.size())) : name;
}

// Causal masks that transformers before 4.31 saved with GPT-2, and tables of the numbers 0, 1, 2...
bool is_constant_buffer(std::string_view name) {
  if (name.ends_with(".position_ids")) return true;
  for (const std::string_view end :
       {".attn.bias", ".attn.masked_bias", ".crossattention.bias", ".crossattention.masked_bias"})
    if (name.starts_with("decoder.") && name.ends_with(end)) return true;
  return false;
}

}  // namespace

TensorMap reference_names(const TensorMap& tensors, const VisionFamily& family) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) {
    if (is_constant_buffer(name)) continue;
    const std::string key = reference_name(name, family);
    if (!result.emplace(key, tensor).second)
      throw CheckpointError(fmt::format("the weights hold {} under two names; keep one of them.", key));
  }
  return result;
}

void settle_tied_head(TensorMap& tensors) {
  const auto head = tensors.find(std::string(kHead));
  if (head == tensors.end()) return;
  const auto embedding = tensors.find(std::string(kEmbedding));
  if (embedding == tensors.end()) {
    tensors.emplace(kEmbedding, head->second);
  } else if (embedding->second.scalar_type() != head->second.scalar_type() ||
             !at::equal(embedding->second, head->second)) {
    throw CheckpointError(
        fmt::format("{} and {} differ, but decoder.tie_word_embeddings in config.json says they are "
                    "one; set it to false.",
                    kHead, kEmbedding));
  }
  tensors.erase(head);
}

std::string name_list(const std::vector<std::string>& names, const std::string& what) {
  constexpr std::size_t kMaxShown = 10;
  const std::vector<std::string> first(names.begin(), names.begin() + std::min(names.size(), kMaxShown));
  std::string text = fmt::format("{} weights {}: {}", names.size(), what, join(first, ", "));
  if (names.size() > kMaxShown) text += fmt::format(" and {} more", names.size() - kMaxShown);
  return text;
}

void init_weights(const TensorMap& state, const std::vector<std::string>& names,
                  const VisionEncoderDecoderConfig& config, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (const std::string& name : names) {
    at::Tensor parameter = state.at(name);
    if (name.ends_with("bias")) {
      parameter.zero_();
    } else if (parameter.dim() == 1) {
      parameter.fill_(1);  // scale of a layer normalisation
    } else {
      // Truncation as for ViT's tables lies a hundred deviations away, so plain normal is the same.
      double std = config.decoder.initializer_range;
      if (name.starts_with("encoder."))
        std = vision_families().find(config.encoder.model_type).deviation(name, parameter, config.encoder);
      if (name.starts_with("decoder.") && name.ends_with(".c_proj.weight"))
        std /= std::sqrt(2.0 * config.decoder.n_layer);
      init_normal(parameter, std, seed, name);
    }
  }
}

}  // namespace capstan
