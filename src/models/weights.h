// From the names and shapes in files to the parameters of a model.
#pragma once
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "models/vision_family.h"

namespace capstan {

// The same tensors under the names that published files use; mask buffers of old GPT-2 files are left out.
// CheckpointError when two tensors would get the same name.
TensorMap reference_names(const TensorMap& tensors, const VisionFamily& family);

// A tied head may stand in a file beside the embedding, or instead of it: afterwards only the embedding is there.
// CheckpointError when both are there and differ.
void settle_tied_head(TensorMap& tensors);

// "3 parameters are missing: a, b, c" with at most ten names.
std::string name_list(const std::vector<std::string>& names, const std::string& what);

// Fresh values for the named parameters of `state`, whose kind is told by the name.
void init_weights(const TensorMap& state, const std::vector<std::string>& names,
                  const VisionEncoderDecoderConfig& config, std::uint64_t seed);

}  // namespace capstan
