// How good the model is on captions it does not train on, in the middle of training.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "capstan/data/cache.h"
#include "capstan/data/loader.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/train/config.h"

namespace capstan {

// Names of the scores that validate() returns: those of the rouge metric and "loss".
std::vector<std::string> validation_score_names();
// Smaller is better for "loss" only.
bool is_better(const std::string& name, double candidate, double best);

// Scores of generated captions (multi-reference) and the mean loss per token, over config.eval_max_images pictures.
// Leaves the model in evaluation mode and draws no random numbers.
std::map<std::string, double> validate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                                       const Tokenizer& tokenizer, const GenerationConfig& generation,
                                       const Collator& collator, const TrainerConfig& config, c10::Device device);

}  // namespace capstan
