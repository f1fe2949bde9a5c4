// What ViT shares with the families that descend from it.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/vision_transformer.h"

namespace capstan {

VisionLayout vit_layout(const VisionConfig& config);
// Keys of ViTConfig; model_type stays "vit".
VisionConfig read_vit_like(const nlohmann::json& object, const std::string& where);
nlohmann::ordered_json vit_like_json(const VisionConfig& config);
void check_vit_like(const VisionConfig& config, std::vector<std::string>& problems);
std::string vit_published_name(std::string name);

}  // namespace capstan
