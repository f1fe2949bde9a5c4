#include "capstan/train/loss.h"

#include <ATen/ops/tensor.h>

#include "capstan/nn/linear_cross_entropy.h"
#include "capstan/train/freeze.h"

namespace capstan {

LossInputs LossInputs::to(c10::Device device) const {
  const auto moved = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(device, /*non_blocking=*/true) : tensor;
  };
  return {moved(pixels_PHWC), moved(input_ids_BT), moved(real_R), moved(labels_R), moved(picture_of_row)};
}

LossInputs loss_inputs(const CaptionBatch& batch, const VisionEncoderDecoderConfig& config) {
  // Real positions are found on the CPU, where the labels are, so that a GPU is not waited for.
  const at::Tensor labels_N = batch.labels_BT.reshape({-1});
  const at::Tensor real_R = labels_N.ne(-100).nonzero().squeeze(1);
  LossInputs inputs{
      .pixels_PHWC = batch.pixels_PHWC,
      .input_ids_BT = shift_tokens_right(batch.labels_BT, config.pad_token_id, config.decoder_start_token_id),
      .real_R = real_R,
      .labels_R = labels_N.index_select(0, real_R),
      .picture_of_row = {}};
  if (batch.rows_per_picture() == 0) inputs.picture_of_row = at::tensor(batch.picture_of_row);
  return inputs;
}

at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                        const LossOptions& options, c10::Device device) {
  return caption_loss(model, processor, loss_inputs(batch, model.config()).to(device), options);
}

at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const LossInputs& inputs,
                        const LossOptions& options) {
  at::Tensor encoder_hidden;  // [P, S, D], or [B, S, D] where the rows of a picture are scattered
  {
    const at::AutoGradMode graph(at::GradMode::is_enabled() && trains_encoder(model));
    encoder_hidden = model.encode(processor.normalize(inputs.pixels_PHWC));
    if (inputs.picture_of_row.defined()) encoder_hidden = encoder_hidden.index_select(0, inputs.picture_of_row);
  }
  const at::Tensor hidden_BTD = model.decode_hidden(inputs.input_ids_BT, encoder_hidden);
  const at::Tensor hidden_RD = hidden_BTD.flatten(0, 1).index_select(0, inputs.real_R);
  return linear_cross_entropy(hidden_RD, model.decoder().lm_head_weight(), inputs.labels_R,
                              {.label_smoothing = options.label_smoothing,
                               .z_loss = options.z_loss,
                               .scale = options.scale,
                               .ignores = options.ignores});
}

}  // namespace capstan
