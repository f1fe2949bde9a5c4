// ViT (Dosovitskiy et al., 2021, arXiv:2010.11929): transformers' ViTModel.
#include "models/vision/vit.h"

#include <array>
#include <nlohmann/json.hpp>

#include "models/json_fields.h"
#include "models/vision_family.h"

namespace capstan {

using nlohmann::json;
using nlohmann::ordered_json;

VisionLayout vit_layout(const VisionConfig& config) {
  const std::int64_t width = config.hidden_size;
  return {.tokens = {"embeddings.cls_token"},
          .patches = "embeddings.patch_embeddings.projection",
          .positions = "embeddings.position_embeddings",
          .blocks = "encoder.layer",
          .norm_1 = "layernorm_before",
          .query = "attention.attention.query",
          .key = "attention.attention.key",
          .value = "attention.attention.value",
          .attention_output = "attention.output.dense",
          .norm_2 = "layernorm_after",
          .fc_1 = "intermediate.dense",
          .fc_2 = "output.dense",
          .norm = "layernorm",
          .head = {{"pooler.dense.weight", {width, width}}, {"pooler.dense.bias", {width}}}};
}

VisionConfig read_vit_like(const json& object, const std::string& where) {
  VisionConfig config;
  json plain = object;
  plain["image_size"] = square(object, "image_size", where);
  plain["patch_size"] = square(object, "patch_size", where);
  plain.erase("vision_use_head");
  const JsonReader reader(plain, where);
  config.architecture(reader);
  require(object, where,
          {{"pooler_act", "tanh"},
           {"pooler_output_size", config.hidden_size},
           {"head_dim", config.num_attention_heads > 0 ? config.hidden_size / config.num_attention_heads : 0},
           {"pruned_heads", json::object()},
           {"quantization_config", nullptr}});
  return config;
}

ordered_json vit_like_json(const VisionConfig& config) {
  ordered_json object{{"model_type", config.model_type}};
  VisionConfig copy = config;
  JsonWriter writer{object};
  copy.architecture(writer);
  object.erase("vision_use_head");
  object["pooler_act"] = "tanh";
  object["pooler_output_size"] = config.hidden_size;
  return object;
}

void check_vit_like(const VisionConfig& config, std::vector<std::string>& problems) {
  if (!config.vision_use_head)
    problems.push_back("vision_use_head is false, but transformers always gives this family a pooler; expected true");
}

std::string vit_published_name(std::string name) {
  // The modules of transformers 5 against the files that it, and everybody before it, writes.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kParts{
      {{".attention.q_proj.", ".attention.attention.query."},
       {".attention.k_proj.", ".attention.attention.key."},
       {".attention.v_proj.", ".attention.attention.value."},
       {".attention.o_proj.", ".attention.output.dense."},
       {".mlp.fc1.", ".intermediate.dense."},
       {".mlp.fc2.", ".output.dense."}}};
  for (const std::string_view model : {"vit.", "deit."})  // a classifier's encoder
    if (name.starts_with(model)) name.erase(0, model.size());
  if (name.starts_with("layers.")) name.replace(0, std::string_view("layers.").size(), "encoder.layer.");
  for (const auto& [module, file] : kParts)
    if (const auto at = name.find(module); at != std::string::npos) name.replace(at, module.size(), file);
  return name;
}

namespace {

double deviation(std::string_view, const at::Tensor&, const VisionConfig& config) {
  return config.initializer_range;  // the truncation of tables lies a hundred deviations away
}

}  // namespace

VisionFamily vit_family() {
  return {.name = "vit",
          .summary = "ViT vision encoder (transformers' ViTModel, without pooling)",
          .read = read_vit_like,
          .write = vit_like_json,
          .check = check_vit_like,
          .make = [](const VisionConfig& config) -> std::shared_ptr<VisionEncoder> {
            return std::make_shared<VisionTransformer>(config, vit_layout(config));
          },
          .published_name = vit_published_name,
          .deviation = deviation};
}

}  // namespace capstan
