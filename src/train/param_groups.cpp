#include "capstan/train/param_groups.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "capstan/core/error.h"
#include "capstan/core/strings.h"
#include "capstan/models/vision_layout.h"
#include "capstan/nn/patterns.h"

namespace capstan {
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

// How many blocks lie between a parameter and the output of its half of the model, itself included; 0 behind the last.
class Depth {
 public:
  explicit Depth(const VisionEncoderDecoder& model) : config_(model.config()) {
    const VisionLayout* const layout = model.encoder().layout();
    if (layout != nullptr) encoder_ = {"encoder." + layout->blocks + ".", "encoder." + layout->norm + "."};
  }
  int of(const std::string& name) const {
    if (name.starts_with("encoder.")) return of(name, encoder_, config_.encoder.num_hidden_layers);
    if (!name.starts_with("decoder.")) return 0;
    if (name == "decoder.lm_head.weight") return 0;
    if (name == "decoder.transformer.wte.weight" && config_.decoder.tie_word_embeddings) return 0;
    return of(name, {"decoder.transformer.h.", "decoder.transformer.ln_f."}, config_.decoder.n_layer);
  }

 private:
  struct Names {
    std::string blocks, norm;
  };
  static int of(const std::string& name, const Names& names, int num_blocks) {
    if (names.blocks.empty() || name.starts_with(names.norm)) return 0;
    if (!name.starts_with(names.blocks)) return num_blocks + 1;
    int block = 0;
    std::from_chars(name.data() + names.blocks.size(), name.data() + name.size(), block);
    return num_blocks - block;
  }
  const VisionEncoderDecoderConfig& config_;
  Names encoder_;
};

struct Group {
  std::vector<NamePattern> patterns;
  std::vector<bool> used;
  const ParamGroupConfig* config;
};

std::vector<Group> make_groups(const std::vector<ParamGroupConfig>& configs) {
  std::vector<Group> groups;
  for (const ParamGroupConfig& config : configs) {
    Group& group = groups.emplace_back(Group{.patterns = {}, .used = {}, .config = &config});
    for (const std::string& text : config.params) group.patterns.emplace_back(text);
    group.used.resize(group.patterns.size(), false);
  }
  return groups;
}

const ParamGroupConfig* find_group(std::vector<Group>& groups, const std::string& name) {
  const ParamGroupConfig* found = nullptr;
  for (Group& group : groups)
    for (std::size_t i = 0; i < group.patterns.size(); ++i) {
      if (!group.patterns[i].matches(name)) continue;
      group.used[i] = true;
      if (found == nullptr) found = group.config;
    }
  return found;
}

void require_all_used(const std::vector<Group>& groups, const std::vector<NamedParameter>& parameters) {
  std::vector<std::string> names;
  for (const NamedParameter& parameter : parameters) names.push_back(parameter.name);
  for (const Group& group : groups)
    for (std::size_t i = 0; i < group.patterns.size(); ++i)
      if (!group.used[i])
        throw ConfigError(fmt::format("param_groups: '{}' matches no parameter that is trained.{}",
                                      group.patterns[i].text(), nearest_name(group.patterns[i].text(), names)));
}

}  // namespace

std::vector<NamedParameter> trainable_parameters(const VisionEncoderDecoder& model, const TrainerConfig& config) {
  const Depth depth(model);
  std::vector<Group> groups = make_groups(config.param_groups);
  std::vector<NamedParameter> result;
  for (const auto& item : model.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    NamedParameter& parameter = result.emplace_back(
        NamedParameter{item.key(), item.value(), 1, takes_decay(item.key()) ? config.weight_decay : 0});
    if (const ParamGroupConfig* const group = find_group(groups, item.key())) {
      if (group->learning_rate)
        parameter.lr_scale = config.learning_rate > 0 ? *group->learning_rate / config.learning_rate : 0;
      parameter.weight_decay = group->weight_decay.value_or(parameter.weight_decay);
    }
    parameter.lr_scale *= std::pow(config.layer_wise_lr_decay, depth.of(item.key()));
  }
  require_all_used(groups, result);
  return result;
}

}  // namespace capstan
