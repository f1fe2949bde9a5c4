// One update: micro-batches in, changed weights out.
#pragma once
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "capstan/data/batch.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/train/config.h"
#include "capstan/train/optimizer.h"

namespace capstan {

struct StepResult {
  double loss = 0;       // mean over the real tokens of all micro-batches
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  std::int64_t num_captions = 0;
  std::int64_t num_tokens = 0;
  double seconds = 0;    // including the wait for data; set by the trainer
  bool skipped = false;  // loss or gradient was not finite: the weights are as before
};

// Labels that count in the loss of one update. The gradient is normalised by this number, so an update does not
// depend on how its captions are cut into micro-batches.
std::int64_t count_label_tokens(std::span<const CaptionBatch> batches);

class UpdateStep {
 public:
  UpdateStep(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor, const TrainerConfig& config,
             c10::Device device);
  // Forward and backward of every micro-batch, clipping, finite check and the optimizer's update. The model must be in
  // training mode. Gradients are dropped afterwards.
  StepResult run(std::span<const CaptionBatch> batches, double learning_rate);

  Optimizer& optimizer() { return *optimizer_; }
  std::span<const NamedParameter> parameters() const { return parameters_; }

 private:
  at::Tensor backward(std::span<const CaptionBatch> batches, std::int64_t num_tokens);

  std::shared_ptr<VisionEncoderDecoder> model_;
  ImageProcessor processor_;
  TrainerConfig config_;
  c10::Device device_;
  std::vector<NamedParameter> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace capstan
