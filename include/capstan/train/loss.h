// Token cross-entropy of captions, computed only where there is a label.
// Legend: P pictures, B captions, C channels, H height, W width, T label positions, R real positions (label not -100),
// D width.
#pragma once
#include <ATen/core/Tensor.h>

#include "capstan/data/batch.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

struct LossOptions {
  double label_smoothing = 0;
  double z_loss = 0;
  double scale = 1;  // of the sum, usually 1 / number of real positions of the update
};

// Sum over real positions of cross_entropy(logits, label), times `scale`, float32 and differentiable. Equal to the
// plain formula over [B, T, V] with ignore_index -100, without ever making logits for padding.
// A picture is encoded once, and its keys and values for cross-attention are made once, however many captions it has.
// `batch` may lie on another device than the model.
at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                        const LossOptions& options, c10::Device device);

}  // namespace capstan
