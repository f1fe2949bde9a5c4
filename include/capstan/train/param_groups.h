// Which parameters are trained, each with its rate and decay.
#pragma once
#include <vector>

#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/train/config.h"
#include "capstan/train/optimizer.h"

namespace capstan {

// Trainable parameters in the model's order. Decay leaves out what Hugging Face's Trainer leaves out, biases and
// normalisation layers, unless a group of config.param_groups says otherwise. With layer_wise_lr_decay d, block i of n
// learns at d^(n - i) of the rate and what comes before the first block at d^(n + 1) (as BEiT, Bao et al., 2021);
// a token embedding that is the head too learns at the full rate. ConfigError when a group names no
// trainable parameter.
std::vector<NamedParameter> trainable_parameters(const VisionEncoderDecoder& model, const TrainerConfig& config);

}  // namespace capstan
