// DeiT (Touvron et al., 2021, arXiv:2012.12877): transformers' DeiTModel, a ViT with a distillation token behind the
// class token.
#include <nlohmann/json.hpp>

#include "models/vision/vit.h"
#include "models/vision_family.h"

namespace capstan {
namespace {

VisionLayout layout(const VisionConfig& config) {
  VisionLayout result = vit_layout(config);
  result.tokens.emplace_back("embeddings.distillation_token");
  return result;
}

VisionConfig read(const nlohmann::json& object, const std::string& where) {
  VisionConfig config = read_vit_like(object, where);
  config.model_type = "deit";
  return config;
}

double deviation(std::string_view name, const at::Tensor&, const VisionConfig& config) {
  // transformers starts DeiT's tokens and positions at zero.
  return name.ends_with("_token") || name.ends_with("position_embeddings") ? 0 : config.initializer_range;
}

}  // namespace

VisionFamily deit_family() {
  return {.name = "deit",
          .summary = "DeiT vision encoder with a distillation token (transformers' DeiTModel, without pooling)",
          .read = read,
          .write = vit_like_json,
          .check = check_vit_like,
          .make = [](const VisionConfig& config) -> std::shared_ptr<VisionEncoder> {
            return std::make_shared<VisionTransformer>(config, layout(config));
          },
          .published_name = vit_published_name,
          .deviation = deviation};
}

}  // namespace capstan
