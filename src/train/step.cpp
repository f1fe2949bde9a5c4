#include "capstan/train/step.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "capstan/train/clip.h"
#include "capstan/train/loss.h"
#include "capstan/train/precision.h"

namespace capstan {

std::int64_t count_label_tokens(std::span<const CaptionBatch> batches) {
  std::int64_t count = 0;
  for (const CaptionBatch& batch : batches) count += batch.num_label_tokens;
  return count;
}

UpdateStep::UpdateStep(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor,
                       const TrainerConfig& config, c10::Device device)
    : model_(std::move(model)),
      processor_(std::move(processor)),
      config_(config),
      device_(device),
      parameters_(trainable_parameters(*model_)) {
  const OptimizerOptions options{.beta1 = config.adam_beta1,
                                 .beta2 = config.adam_beta2,
                                 .epsilon = config.adam_epsilon,
                                 .weight_decay = config.weight_decay};
  optimizer_ = optimizers().find(config.optim).make(parameters_, options);
}

StepResult UpdateStep::run(std::span<const CaptionBatch> batches, double learning_rate) {
  StepResult result{.learning_rate = learning_rate, .num_tokens = count_label_tokens(batches)};
  for (const CaptionBatch& batch : batches) result.num_captions += batch.labels_BT.size(0);

  const at::Tensor loss = backward(batches, result.num_tokens);
  const at::Tensor norm = clip_gradients(parameters_, config_.max_grad_norm);
  const at::Tensor figures = at::stack({loss, norm.to(loss.device())}).cpu();  // the one wait for the device
  result.loss = figures[0].item<double>();
  result.grad_norm = figures[1].item<double>();
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.grad_norm);
  if (!result.skipped) optimizer_->step(learning_rate);
  for (NamedParameter& parameter : parameters_) parameter.tensor.mutable_grad().reset();
  return result;
}

at::Tensor UpdateStep::backward(std::span<const CaptionBatch> batches, std::int64_t num_tokens) {
  at::Tensor total = at::zeros({}, at::TensorOptions().device(device_));
  for (const CaptionBatch& batch : batches) {
    at::Tensor loss;
    {
      const Autocast autocast(device_, config_.bf16);
      loss = caption_loss_sum(*model_, processor_, batch, config_.label_smoothing_factor, device_) /
             static_cast<double>(num_tokens);
    }
    loss.backward();
    total += loss.detach();
  }
  return total;
}

}  // namespace capstan
