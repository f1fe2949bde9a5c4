// How good the model is on captions it does not train on, in the middle of training.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "capstan/data/cache.h"
#include "capstan/data/loader.h"
#include "capstan/eval/evaluator.h"
#include "capstan/generate/options.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/parallel/world.h"
#include "capstan/train/config.h"

namespace capstan {

// Names of the scores that validate() returns: those of the rouge metric and "loss".
std::vector<std::string> validation_score_names();
// Smaller is better for "loss" only.
bool is_better(const std::string& name, double candidate, double best, double threshold = 0);

// Scores of generated captions (multi-reference) and the mean loss per token ("loss"), over config.eval_max_images
// pictures, shared out over the processes; all call it, and all get the whole result. Leaves the model in evaluation
// mode and draws no random numbers.
EvaluationReport validate(VisionEncoderDecoder& model, const Cache& cache, const ImageProcessor& processor,
                          const Tokenizer& tokenizer, const GenerationConfig& generation, const Collator& collator,
                          const TrainerConfig& config, c10::Device device, const World& world);

}  // namespace capstan
