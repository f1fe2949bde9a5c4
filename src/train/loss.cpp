#include "capstan/train/loss.h"

#include <ATen/ops/tensor.h>

#include "capstan/nn/linear_cross_entropy.h"
#include "capstan/train/freeze.h"

namespace capstan {
namespace {

// Encoder output of each picture [P, S, D] where the rows of a picture stand together; else of each row [B, S, D].
at::Tensor encode_pictures(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                           c10::Device device) {
  const at::AutoGradMode graph(at::GradMode::is_enabled() && trains_encoder(model));
  const at::Tensor pixels = batch.pixels_PHWC.to(device, /*non_blocking=*/true);
  const at::Tensor hidden_PSD = model.encode(processor.normalize(pixels));
  if (batch.rows_per_picture() > 0) return hidden_PSD;
  return hidden_PSD.index_select(0, at::tensor(batch.picture_of_row).to(device, /*non_blocking=*/true));
}

}  // namespace

at::Tensor caption_loss(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                        const LossOptions& options, c10::Device device) {
  const auto& config = model.config();
  const at::Tensor encoder_hidden = encode_pictures(model, processor, batch, device);
  const at::Tensor input_ids_BT =
      shift_tokens_right(batch.labels_BT, config.pad_token_id, config.decoder_start_token_id);
  const at::Tensor hidden_BTD = model.decode_hidden(input_ids_BT.to(device, /*non_blocking=*/true), encoder_hidden);

  // Real positions are found on the CPU, where the labels are, so that a GPU is not waited for.
  const at::Tensor labels_N = batch.labels_BT.reshape({-1});
  const at::Tensor real_R = labels_N.ne(-100).nonzero().squeeze(1);
  const at::Tensor labels_R = labels_N.index_select(0, real_R).to(device, /*non_blocking=*/true);
  const at::Tensor hidden_RD = hidden_BTD.flatten(0, 1).index_select(0, real_R.to(device, /*non_blocking=*/true));
  return linear_cross_entropy(
      hidden_RD, model.decoder().lm_head_weight(), labels_R,
      {.label_smoothing = options.label_smoothing, .z_loss = options.z_loss, .scale = options.scale});
}

}  // namespace capstan
