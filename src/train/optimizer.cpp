#include "capstan/train/optimizer.h"

#include <torch/nn/module.h>

#include "capstan/core/strings.h"

namespace capstan {

#define CAPSTAN_OPTIMIZER(name) OptimizerEntry name##_optimizer();
#include "train/optimizers.def"
#undef CAPSTAN_OPTIMIZER

const Registry<OptimizerEntry>& optimizers() {
  static const Registry<OptimizerEntry> registry = [] {
    Registry<OptimizerEntry> list("optimizer");
#define CAPSTAN_OPTIMIZER(name) list.add(name##_optimizer());
#include "train/optimizers.def"
#undef CAPSTAN_OPTIMIZER
    return list;
  }();
  return registry;
}

namespace {

// Trainer.get_decay_parameter_names of transformers looks at module types and names; for its ViT and GPT-2 names
// the words below say the same ("ln_1", "ln_cross_attn", "layernorm_before", "layer_norm1", "q_norm").
bool takes_decay(const std::string& name) {
  if (name.find("bias") != std::string::npos) return false;
  for (const std::string& part : split(to_lower_ascii(name), '.'))
    if (part.find("layernorm") != std::string::npos || part.starts_with("ln_") || part.starts_with("layer_norm") ||
        part == "norm" || part.ends_with("_norm"))
      return false;
  return true;
}

}  // namespace

std::vector<NamedParameter> trainable_parameters(const torch::nn::Module& module) {
  std::vector<NamedParameter> result;
  for (const auto& item : module.named_parameters())
    if (item.value().requires_grad()) result.push_back({item.key(), item.value(), takes_decay(item.key())});
  return result;
}

}  // namespace capstan
