// Formats that write the computation out refuse what they cannot say, instead of writing something else.
#include "export/supported.h"

#include <functional>

#include "capstan/core/error.h"
#include "support/catch.h"

using namespace capstan;

TEST_CASE("a model without an emitter is refused by its key", "[export][unit]") {
  const auto complaint = [](const std::function<void(VisionEncoderDecoderConfig&)>& edit) {
    VisionEncoderDecoderConfig config;
    edit(config);
    try {
      require_emitter(config, "ONNX");
    } catch (const UnsupportedError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(complaint([](auto&) {}) == "no error");
  CHECK(complaint([](auto& config) { config.decoder.reorder_and_upcast_attn = true; }) == "no error");
  CHECK_THAT(complaint([](auto& config) { config.encoder.model_type = "deit"; }),
             ContainsSubstring("ONNX export: encoder.model_type is 'deit'; it is written for 'vit' only"));
  CHECK_THAT(complaint([](auto& config) { config.encoder.image_size = 225; }),
             ContainsSubstring("image_size 225 is not a multiple of patch_size 16"));
  CHECK_THAT(complaint([](auto& config) { config.decoder.scale_attn_weights = false; }),
             ContainsSubstring("decoder.scale_attn_weights is false"));
  CHECK_THAT(complaint([](auto& config) { config.decoder.scale_attn_by_inverse_layer_idx = true; }),
             ContainsSubstring("decoder.scale_attn_by_inverse_layer_idx is true"));
}
