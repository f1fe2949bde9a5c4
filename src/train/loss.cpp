#include "capstan/train/loss.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>

#include <map>

#include "capstan/train/freeze.h"

namespace capstan {
namespace {

// Encoder output of each row of the batch [B, S, D].
at::Tensor encode_rows(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                       c10::Device device) {
  const at::AutoGradMode graph(at::GradMode::is_enabled() && trains_encoder(model));
  std::map<std::int64_t, std::int64_t> slots;  // cache index -> row among the distinct pictures
  std::vector<std::int64_t> first_rows, slot_of_row;
  for (std::size_t row = 0; row < batch.images.size(); ++row) {
    const auto [slot, is_new] = slots.try_emplace(batch.images[row], static_cast<std::int64_t>(slots.size()));
    if (is_new) first_rows.push_back(static_cast<std::int64_t>(row));
    slot_of_row.push_back(slot->second);
  }
  if (slots.size() == batch.images.size() || batch.images.empty())
    return model.encode(processor.normalize(batch.pixels_BHWC.to(device)));
  const at::Tensor distinct = batch.pixels_BHWC.index_select(0, at::tensor(first_rows)).to(device);
  return model.encode(processor.normalize(distinct)).index_select(0, at::tensor(slot_of_row).to(device));
}

}  // namespace

at::Tensor caption_loss_sum(VisionEncoderDecoder& model, const ImageProcessor& processor, const CaptionBatch& batch,
                            double label_smoothing, c10::Device device) {
  const auto& config = model.config();
  const at::Tensor encoder_hidden_BSD = encode_rows(model, processor, batch, device);
  const at::Tensor input_ids_BT =
      shift_tokens_right(batch.labels_BT, config.pad_token_id, config.decoder_start_token_id);
  const at::Tensor hidden_BTD = model.decode_hidden(input_ids_BT.to(device), encoder_hidden_BSD);

  // Real positions are found on the CPU, where the labels are, so that a GPU is not waited for.
  const at::Tensor labels_N = batch.labels_BT.reshape({-1});
  const at::Tensor real_R = labels_N.ne(-100).nonzero().squeeze(1);
  const at::Tensor labels_R = labels_N.index_select(0, real_R).to(device);
  const at::Tensor hidden_RD = hidden_BTD.flatten(0, 1).index_select(0, real_R.to(device));
  return at::cross_entropy_loss(model.lm_head(hidden_RD).to(at::kFloat), labels_R, {}, at::Reduction::Sum, -100,
                                label_smoothing);
}

}  // namespace capstan
