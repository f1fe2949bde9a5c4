// Captions of a batch of pictures as token ids, for evaluation and training.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "capstan/generate/options.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan {

// The best caption of each of pixel_values [B, 3, H, W]: ids without start and end token. Token for token what
// transformers' generate() gives with the same options. The model may be in training mode: dropout is off meanwhile.
// `tokenizer` is needed for stop_strings only. ConfigError for options that contradict each other.
std::vector<std::vector<std::int64_t>> generate(VisionEncoderDecoder& model, const at::Tensor& pixel_values_BCHW,
                                                const GenerationConfig& options, const Tokenizer* tokenizer = nullptr);

}  // namespace capstan
