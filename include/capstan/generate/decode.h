// The generation loop.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "capstan/generate/options.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// Greedy captions of pixel_values [B, 3, H, W]: one vector of ids per image, without start and end token.
// Token-for-token what transformers' generate(do_sample=False, num_beams=1) gives.
std::vector<std::vector<std::int64_t>> generate(VisionEncoderDecoder& model, const at::Tensor& pixel_values_BCHW,
                                                const GenerationConfig& options);

}  // namespace capstan
