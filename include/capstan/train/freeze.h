// Which parameters are trained.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// Freezes what a pattern of `freeze` matches, then lets train again what one of `unfreeze` matches (nn/patterns.h;
// names are the published ones, those of adapters included). ConfigError when a pattern matches nothing, when nothing
// is left to train, or when a weight would be trained beside its own adapter.
void apply_freeze(VisionEncoderDecoder& model, const std::vector<std::string>& freeze,
                  const std::vector<std::string>& unfreeze);

struct ParameterCount {
  std::int64_t trainable = 0;
  std::int64_t total = 0;
};
ParameterCount count_parameters(const VisionEncoderDecoder& model);

// Whether anything that encode() computes with is trained. Where nothing is, no graph is needed for it.
bool trains_encoder(const VisionEncoderDecoder& model);

// "trainable parameters: 294,912 of 86,567,656 (0.34 %)"
std::string trainable_text(const ParameterCount& count);

}  // namespace capstan
