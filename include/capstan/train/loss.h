// Token cross-entropy of captions, computed only where there is a label.
// Legend: B captions, C channels, H height, W width, T label positions, R real positions (label not -100), D width.
#pragma once
#include <ATen/core/Tensor.h>

#include "capstan/data/batch.h"
#include "capstan/image/processor.h"
#include "capstan/models/vision_encoder_decoder.h"

namespace capstan {

// Sum over real positions of cross_entropy(logits, label, label_smoothing), float32 and differentiable. Equal to the
// plain formula over [B, T, V] with ignore_index -100, without ever making logits for padding.
// A picture that occurs several times in the batch is encoded once. `batch` may lie on another device than the model.
at::Tensor caption_loss_sum(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                            double label_smoothing, c10::Device device);

}  // namespace capstan
