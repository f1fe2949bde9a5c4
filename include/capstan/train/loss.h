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
  double scale = 1;      // of the sum, usually 1 / number of real positions of the update
  bool ignores = false;  // whether labels of -100 may be among those that are looked at
};

// What the loss is computed from.
struct LossInputs {
  at::Tensor pixels_PHWC;     // uint8
  at::Tensor input_ids_BT;    // int64, from the start token on
  at::Tensor real_R;          // int64, index of each real position in B * T
  at::Tensor labels_R;        // int64, -100 only with LossOptions::ignores
  at::Tensor picture_of_row;  // int64 [B]; undefined where the rows of a picture stand together

  LossInputs to(c10::Device device) const;  // without waiting
};

// On the CPU, but for the pixels, which stay where they are.
LossInputs loss_inputs(const CaptionBatch& batch, const VisionEncoderDecoderConfig& config);

// Sum over real positions of cross_entropy(logits, label), times `scale`, float32 and differentiable. Equal to the
// plain formula over [B, T, V] with ignore_index -100, without ever making logits for padding.
// A picture is encoded once, and its keys and values for cross-attention are made once, however many captions it has.
// `batch` may lie on another device than the model.
at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                        const LossOptions& options, c10::Device device);
// The same of inputs that lie on the model's device.
at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const LossInputs& inputs,
                        const LossOptions& options);

}  // namespace capstan
