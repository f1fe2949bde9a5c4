#include "train/recorded_loss.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include "capstan/core/torch_random.h"

namespace capstan {
namespace {

constexpr int kMostRecordings = 32;
constexpr std::int64_t kTextMultiple = 8, kPositionMultiple = 64;

std::int64_t missing_to(std::int64_t multiple, std::int64_t size) { return (multiple - size % multiple) % multiple; }

// The same loss from shapes that are met more often.
LossInputs padded(const LossInputs& in, std::int64_t pad_token_id, std::int64_t most_tokens) {
  const std::int64_t length = in.input_ids_BT.size(1);
  const std::int64_t more = std::min(missing_to(kTextMultiple, length), most_tokens - length);
  LossInputs out = in;
  out.input_ids_BT = at::constant_pad_nd(in.input_ids_BT, {0, more}, pad_token_id);
  const at::Tensor row = in.real_R.floor_divide(length);
  out.real_R = in.real_R + row * more;
  const std::int64_t dummies = missing_to(kPositionMultiple, in.real_R.size(0));
  out.real_R = at::constant_pad_nd(out.real_R, {0, dummies}, 0);
  out.labels_R = at::constant_pad_nd(in.labels_R, {0, dummies}, -100);
  return out;
}

}  // namespace

RecordedLoss::RecordedLoss(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor,
                           const TrainerConfig& config, std::span<const NamedParameter> parameters, c10::Device device,
                           Recorder recorder)
    : model_(std::move(model)),
      processor_(std::move(processor)),
      config_(config),
      device_(device),
      recorder_(std::move(recorder)) {
  for (const NamedParameter& parameter : parameters) {
    parameters_.push_back(parameter.tensor);
    parameters_.back().mutable_grad() = at::zeros_like(parameter.tensor);
  }
}

std::optional<at::Tensor> RecordedLoss::backward(const CaptionBatch& batch, double scale, const GradScaler& scaler,
                                                 bool first) {
  const auto& model = model_->config();
  const LossInputs inputs = padded(loss_inputs(batch, model), model.pad_token_id, model.decoder.n_positions);
  const auto& pixels = inputs.pixels_PHWC;
  const Shape shape{pixels.size(0),
                    pixels.size(1),
                    pixels.size(2),
                    inputs.input_ids_BT.size(0),
                    inputs.input_ids_BT.size(1),
                    inputs.real_R.size(0),
                    inputs.picture_of_row.defined() ? 1 : 0};
  Recording& recording = recordings_[shape];
  ++recording.seen;
  if (!recording.graph) {
    if (recording.seen < 2 || !first || num_recorded_ == kMostRecordings) return std::nullopt;
    record(recording, inputs);
  }
  stage(recording, inputs, scale, scaler);
  return recording.graph->replay() * scale;
}

void RecordedLoss::stage(Recording& recording, const LossInputs& inputs, double scale, const GradScaler& scaler) {
  const at::NoGradGuard no_grad;
  const auto copy = [](at::Tensor& there, const at::Tensor& here) {
    if (there.defined()) there.copy_(here, /*non_blocking=*/true);
  };
  copy(recording.inputs.pixels_PHWC, inputs.pixels_PHWC);
  copy(recording.inputs.input_ids_BT, inputs.input_ids_BT);
  copy(recording.inputs.real_R, inputs.real_R);
  copy(recording.inputs.labels_R, inputs.labels_R);
  copy(recording.inputs.picture_of_row, inputs.picture_of_row);
  recording.outer.fill_(scale);
  if (scaler.enabled()) recording.outer.mul_(scaler.scale());
}

// Leaves gradients and random numbers as they were before the work was tried.
void RecordedLoss::record(Recording& recording, const LossInputs& inputs) {
  recording.inputs = inputs.to(device_);
  recording.inputs.pixels_PHWC = recording.inputs.pixels_PHWC.clone();  // the batch's own may lie there already
  recording.outer = at::zeros({}, at::TensorOptions().device(device_));
  const LossOptions options{
      .label_smoothing = config_.label_smoothing_factor, .z_loss = config_.z_loss, .scale = 1, .ignores = true};
  const auto work = [this, &recording, options] {
    at::Tensor loss;
    {
      const Autocast autocast(device_, config_);
      loss = caption_loss(*model_, processor_, recording.inputs, options);
    }
    loss.backward(recording.outer);
    return loss.detach();
  };
  const RandomState random(device_);
  recording.graph = recorder_(work, any_);
  random.restore();
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : parameters_) parameter.grad().zero_();
  if (any_ == nullptr) any_ = recording.graph.get();
  ++num_recorded_;
}

}  // namespace capstan
