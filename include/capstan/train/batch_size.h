// Finding a batch that fits in memory (Hugging Face's auto_find_batch_size).
#pragma once
#include "capstan/data/loader.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"
#include "capstan/parallel/world.h"
#include "capstan/train/config.h"

namespace capstan {

struct BatchTrial {
  VisionEncoderDecoder& model;
  const ImageProcessor& processor;
  const Cache& cache;
  const Collator& collator;
  c10::Device device;
  const World& world;
};

// Tries forward and backward passes of the batch with the longest captions, and halves per_device_train_batch_size and
// doubles gradient_accumulation_steps while memory runs out on any process, so that an update keeps its size; an odd
// batch is rounded up. Weights, gradients and random numbers are afterwards as before. Error when a batch of one does
// not fit.
void find_batch_size(const BatchTrial& trial, TrainerConfig& config);

}  // namespace capstan
