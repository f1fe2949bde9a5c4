// From tensors in files to the parameters of a model: what fits, what does not, and the values themselves.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "capstan/checkpoint/safetensors.h"
#include "capstan/models/load_report.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

struct WeightSlot {
  at::Tensor tensor;      // the model's own handle: set_data() on it is seen by every module
  bool optional = false;  // a buffer, such as a pooler's weight: nothing is computed with it
};
using WeightSlots = std::map<std::string, WeightSlot>;

// Adapters are not among them.
WeightSlots weight_slots(const torch::nn::Module& model);

// The same tensors under the model's names, the tied head settled. CheckpointError for two tensors of one name.
TensorMap model_tensors(const TensorMap& tensors, const VisionEncoderDecoderConfig& config);

// Which names have no partner, and which have one of another shape. Optional slots may stay without.
LoadReport match_weights(const WeightSlots& slots, const TensorMap& tensors);

// "2 weights have another shape than config.json says: a (file [2, 3], model [3, 2]), ..."
std::string mismatch_text(const std::vector<MismatchedWeight>& mismatched);

// Copies the values of every partner in. Without `report`, CheckpointError for anything that does not fit; with it,
// for other shapes only. Nothing is copied on an error.
void copy_weights(VisionEncoderDecoder& model, const TensorMap& tensors, LoadReport* report);

// Makes partners of the same shape the model's own values, as `dtype`: no copy is made of those that have that type
// and a plain layout already. Slots without one become zeros.
void adopt_weights(const WeightSlots& slots, TensorMap tensors, c10::ScalarType dtype);

}  // namespace capstan
