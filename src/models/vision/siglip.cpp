// The vision tower of SigLIP (Zhai et al., 2023, arXiv:2303.15343): transformers' SiglipVisionModel. It has no class
// token; its pooling head is carried along and not computed.
#include <ATen/core/Tensor.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/json_fields.h"
#include "models/vision_family.h"
#include "models/vision_transformer.h"

namespace capstan {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kModelType = "siglip_vision_model";
constexpr std::string_view kTower = "vision_model.";

VisionLayout layout(const VisionConfig& config) {
  VisionLayout result{.tokens = {},
                      .patches = "vision_model.embeddings.patch_embedding",
                      .positions = "vision_model.embeddings.position_embedding.weight",
                      .flat_positions = true,
                      .blocks = "vision_model.encoder.layers",
                      .norm_1 = "layer_norm1",
                      .query = "self_attn.q_proj",
                      .key = "self_attn.k_proj",
                      .value = "self_attn.v_proj",
                      .attention_output = "self_attn.out_proj",
                      .norm_2 = "layer_norm2",
                      .fc_1 = "mlp.fc1",
                      .fc_2 = "mlp.fc2",
                      .norm = "vision_model.post_layernorm",
                      .head = {}};
  if (!config.vision_use_head) return result;
  const std::int64_t width = config.hidden_size, inner = config.intermediate_size;
  result.head = {{"probe", {1, 1, width}},
                 {"attention.in_proj_weight", {3 * width, width}},
                 {"attention.in_proj_bias", {3 * width}},
                 {"attention.out_proj.weight", {width, width}},
                 {"attention.out_proj.bias", {width}},
                 {"layernorm.weight", {width}},
                 {"layernorm.bias", {width}},
                 {"mlp.fc1.weight", {inner, width}},
                 {"mlp.fc1.bias", {inner}},
                 {"mlp.fc2.weight", {width, inner}},
                 {"mlp.fc2.bias", {width}}};
  for (auto& [name, sizes] : result.head) name.insert(0, "vision_model.head.");
  return result;
}

VisionConfig read(const json& object, const std::string& where) {
  require(object, where, {{"model_type", kModelType}});
  VisionConfig config;
  config.model_type = kModelType;
  config.hidden_act = "gelu_pytorch_tanh";
  config.layer_norm_eps = 1e-6;
  json plain = object;
  // Keys of ViT that mean nothing here.
  for (const char* key : {"hidden_dropout_prob", "qkv_bias", "initializer_range", "attention_probs_dropout_prob"})
    plain.erase(key);
  if (object.contains("attention_dropout")) plain["attention_probs_dropout_prob"] = object["attention_dropout"];
  plain["image_size"] = square(object, "image_size", where);
  plain["patch_size"] = square(object, "patch_size", where);
  const JsonReader reader(plain, where);
  config.architecture(reader);
  require(object, where, {{"pruned_heads", json::object()}, {"quantization_config", nullptr}});
  return config;
}

ordered_json write(const VisionConfig& config) {
  ordered_json object{{"model_type", kModelType}};
  VisionConfig copy = config;
  JsonWriter writer{object};
  copy.architecture(writer);
  object["attention_dropout"] = config.attention_probs_dropout_prob;
  for (const char* key : {"hidden_dropout_prob", "qkv_bias", "initializer_range", "attention_probs_dropout_prob"})
    object.erase(key);
  return object;
}

void check(const VisionConfig& config, std::vector<std::string>& problems) {
  if (!config.qkv_bias) problems.push_back("qkv_bias is false, but SigLIP always has these biases; expected true");
  if (config.hidden_dropout_prob != 0)
    problems.push_back("hidden_dropout_prob is not 0, but SigLIP has no such dropout; expected 0");
}

// transformers 5 has no module for the tower any more and leaves its name out.
std::string published_name(std::string name) {
  for (const std::string_view part : {"embeddings.", "encoder.", "post_layernorm.", "head."})
    if (name.starts_with(part)) return std::string(kTower) + name;
  return name;
}

// Normal values of the deviation that transformers' uniform and truncated draws have: Xavier for attention and
// feed-forward, LeCun for the patches
// and the end of the head, 1 / sqrt(D) for positions.
double deviation(std::string_view name, const at::Tensor& weight, const VisionConfig& config) {
  if (name.ends_with("position_embedding.weight")) return 1 / std::sqrt(static_cast<double>(config.hidden_size));
  const auto fan_out = static_cast<double>(weight.size(0));
  const auto fan_in = static_cast<double>(weight.numel()) / fan_out;
  // Widened for a cut at two deviations; transformers cuts at the number 2, which is far away.
  if (name.ends_with("patch_embedding.weight") || name.ends_with("head.attention.out_proj.weight"))
    return 1 / (0.87962566 * std::sqrt(fan_in));
  return std::sqrt(2 / (fan_in + fan_out));
}

}  // namespace

VisionFamily siglip_family() {
  return {.name = kModelType,
          .summary = "SigLIP vision tower (transformers' SiglipVisionModel, without its head)",
          .read = read,
          .write = write,
          .check = check,
          .make = [](const VisionConfig& config) -> std::shared_ptr<VisionEncoder> {
            return std::make_shared<VisionTransformer>(config, layout(config));
          },
          .published_name = published_name,
          .deviation = deviation};
}

}  // namespace capstan
