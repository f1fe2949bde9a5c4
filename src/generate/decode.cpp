// The simple way to captions, on top of the generator.
#include "capstan/generate/decode.h"

#include <ATen/ATen.h>

#include <memory>

#include "capstan/core/device.h"
#include "capstan/core/error.h"
#include "capstan/generate/generator.h"

namespace capstan {

std::vector<std::vector<std::int64_t>> generate(VisionEncoderDecoder& model, const at::Tensor& pixel_values_BCHW,
                                                const GenerationConfig& options, const Tokenizer* tokenizer) {
  CAPSTAN_ASSERT(pixel_values_BCHW.dim() == 4);
  // Owned by the caller, who waits.
  const std::shared_ptr<const Tokenizer> borrowed(std::shared_ptr<const Tokenizer>(), tokenizer);
  EngineOptions engine;
  engine.dtype = dtype_name(model.parameters().front().scalar_type());
  std::vector<std::vector<std::int64_t>> captions;
  for (auto& candidates : generate_candidates(model, pixel_values_BCHW, options, borrowed, engine))
    captions.push_back(std::move(candidates.front().ids));
  return captions;
}

}  // namespace capstan
