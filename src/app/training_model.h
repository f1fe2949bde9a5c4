// The model of a training run.
#pragma once
#include <memory>
#include <string>

#include "capstan/app/runs.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/text/tokenizer.h"

namespace capstan::app {

struct TrainingModel {
  std::shared_ptr<VisionEncoderDecoder> model;
  // The folder that holds the model as it is before training, adapter left out; empty when no single one does.
  std::string base;
};

// Loaded, joined or fresh, with dropout, stochastic depth, picture size and adapter as `run.model` says.
TrainingModel make_training_model(const TrainRun& run, const Tokenizer& tokenizer, const ImageProcessorConfig& image);

}  // namespace capstan::app
