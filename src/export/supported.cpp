// One list for both formats, because their emitters are written for the same options.
#include "export/supported.h"

#include <fmt/format.h>

#include "capstan/core/error.h"

namespace capstan {

void require_emitter(const VisionEncoderDecoderConfig& config, const std::string& format) {
  const auto refuse = [&](const std::string& what, const std::string& expected) {
    throw UnsupportedError(fmt::format("{} export: {}; it is written for {} only. Export as 'huggingface' instead.",
                                       format, what, expected));
  };
  const VisionConfig& encoder = config.encoder;
  const Gpt2Config& decoder = config.decoder;
  if (encoder.model_type != "vit") refuse(fmt::format("encoder.model_type is '{}'", encoder.model_type), "'vit'");
  if (encoder.image_size % encoder.patch_size != 0)
    refuse(fmt::format("image_size {} is not a multiple of patch_size {}", encoder.image_size, encoder.patch_size),
           "multiples");
  if (!decoder.scale_attn_weights) refuse("decoder.scale_attn_weights is false", "true");
  if (decoder.scale_attn_by_inverse_layer_idx) refuse("decoder.scale_attn_by_inverse_layer_idx is true", "false");
}

}  // namespace capstan
