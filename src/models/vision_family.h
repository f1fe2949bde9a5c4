// What a family of vision encoders has to say about itself. A new one is a file in vision/ and a line in
// vision.def.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "capstan/core/registry.h"
#include "capstan/models/vision.h"

namespace capstan {

struct VisionFamily {
  std::string name;  // model_type in config.json
  std::string summary;
  // Its part of config.json to and from our struct; hf_config.h says how errors are reported.
  VisionConfig (*read)(const nlohmann::json& object, const std::string& where);
  nlohmann::ordered_json (*write)(const VisionConfig& config);
  // What only this family asks of a configuration; may be null.
  void (*check)(const VisionConfig& config, std::vector<std::string>& problems);
  std::shared_ptr<VisionEncoder> (*make)(const VisionConfig& config);
  // Files of different ages name weights differently: the name that our parameters have, without "encoder.".
  std::string (*published_name)(std::string name);
  // Standard deviation of fresh values of a weight with two or more dimensions; 0 for zeros.
  double (*deviation)(std::string_view name, const at::Tensor& weight, const VisionConfig& config);
};

const Registry<VisionFamily>& vision_families();

}  // namespace capstan
