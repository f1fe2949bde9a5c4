// The list of families, and what holds for all of them.
#include <fmt/format.h>

#include "capstan/core/error.h"
#include "models/vision_family.h"

namespace capstan {

#define CAPSTAN_VISION_FAMILY(name) VisionFamily name##_family();
#include "models/vision.def"
#undef CAPSTAN_VISION_FAMILY

const Registry<VisionFamily>& vision_families() {
  static const Registry<VisionFamily> registry = [] {
    Registry<VisionFamily> list("vision encoder");
#define CAPSTAN_VISION_FAMILY(name) list.add(name##_family());
#include "models/vision.def"
#undef CAPSTAN_VISION_FAMILY
    return list;
  }();
  return registry;
}

void VisionConfig::check(std::vector<std::string>& problems) const {
  if (num_attention_heads < 1 || hidden_size % num_attention_heads != 0)
    problems.push_back(
        fmt::format("hidden_size {} is not a multiple of num_attention_heads {}", hidden_size, num_attention_heads));
  if (patch_size < 1 || image_size < patch_size)
    problems.push_back(fmt::format("image_size {} is smaller than patch_size {}", image_size, patch_size));
  if (!vision_families().contains(model_type)) {
    problems.push_back(fmt::format("model_type '{}' is no vision encoder; known: {}.{}", model_type,
                                   join(vision_families().names(), ", "),
                                   did_you_mean(model_type, vision_families().names())));
  } else if (const auto check_family = vision_families().find(model_type).check; check_family != nullptr) {
    check_family(*this, problems);
  }
}

std::shared_ptr<VisionEncoder> make_vision_encoder(const VisionConfig& config) {
  return vision_families().find(config.model_type).make(config);
}

}  // namespace capstan
