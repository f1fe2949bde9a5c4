#include "capstan/train/step.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>

#include "capstan/train/clip.h"
#include "capstan/train/loss.h"
#include "capstan/train/param_groups.h"
#include "capstan/train/sharded_optimizer.h"
#include "train/recorded_loss.h"

namespace capstan {

UpdateStep::UpdateStep(std::shared_ptr<VisionEncoderDecoder> model, ImageProcessor processor,
                       const TrainerConfig& config, c10::Device device, std::shared_ptr<const World> world,
                       const ParallelConfig& parallel)
    : model_(std::move(model)),
      processor_(std::move(processor)),
      config_(config),
      device_(device),
      world_(world ? std::move(world) : std::make_shared<const World>(World::alone())),
      parameters_(trainable_parameters(*model_, config)),
      ema_(config.ema, parameters_),
      scaler_(config, device) {
  const OptimizerOptions options{
      .beta1 = config.adam_beta1, .beta2 = config.adam_beta2, .epsilon = config.adam_epsilon};
  const auto& entry = optimizers().find(config.optim);
  optimizer_ = parallel.zero_stage > 0 && world_->size() > 1 ? make_sharded(entry, parameters_, options, world_)
                                                             : entry.make(parameters_, options);
  if (config.cuda_graphs && world_->size() == 1 && can_record_steps(device))
    recorded_ = std::make_unique<RecordedLoss>(
        model_, processor_, config, parameters_, device,
        [device](const auto& work, const StepGraph* beside) { return record_step(device, work, beside); });
  if (world_->size() == 1) return;
  std::vector<at::Tensor> tensors;
  std::vector<std::string> names;
  for (const NamedParameter& parameter : parameters_) {
    tensors.push_back(parameter.tensor);
    names.push_back(parameter.name);
  }
  ReducerOptions reducing;
  reducing.bucket_bytes = std::int64_t{parallel.ddp_bucket_cap_mb} << 20;
  if (parallel.gradient_compression == "bf16") reducing.compression = GradientCompression::kBf16;
  reducer_ = std::make_unique<GradientReducer>(*world_, tensors, reducing, names);
}

UpdateStep::~UpdateStep() = default;

StepCounts UpdateStep::agree(std::span<const CaptionBatch> batches, StepSignals& signals) const {
  StepCounts counts;
  for (const CaptionBatch& batch : batches) {
    counts.captions += batch.num_captions;
    counts.images += static_cast<std::int64_t>(batch.images.size());
    counts.tokens += batch.num_label_tokens;
  }
  if (world_->size() == 1) return counts;
  // Signals ride along as counts; SIGTERM (15) wins over SIGINT (2) when both came.
  const bool main = world_->is_main();
  const std::vector<std::int64_t> values{counts.captions,
                                         counts.images,
                                         counts.tokens,
                                         signals.stop == 2 ? 1 : 0,
                                         signals.stop > 2 ? 1 : 0,
                                         signals.save ? 1 : 0,
                                         main ? std::llround(signals.seconds * 1e6) : 0};
  at::Tensor shared = at::tensor(values, at::kLong);
  world_->all_reduce_sum(shared, "the counts of an update");
  const auto* const sums = shared.const_data_ptr<std::int64_t>();
  signals = {.stop = sums[4] > 0   ? 15
                     : sums[3] > 0 ? 2
                                   : 0,
             .save = sums[5] > 0,
             .seconds = static_cast<double>(sums[6]) * 1e-6};
  return {.captions = sums[0], .images = sums[1], .tokens = sums[2]};
}

PendingStep UpdateStep::run(std::span<const CaptionBatch> batches, const StepCounts& counts, std::int64_t step,
                            double learning_rate, double loss_limit) {
  at::Tensor loss = backward(batches, std::max<std::int64_t>(1, counts.tokens));
  world_->all_reduce_sum(loss, fmt::format("the loss of step {}", step));
  DeviceFigures figures = apply(loss, learning_rate, loss_limit);
  ema_.update(step);
  drop_gradients();
  return {StepResult{.counts = counts, .learning_rate = learning_rate}, std::move(figures), scaler_.enabled()};
}

at::Tensor UpdateStep::backward(std::span<const CaptionBatch> batches, std::int64_t num_tokens) {
  at::Tensor total = at::zeros({}, at::TensorOptions().device(device_));
  const LossOptions options{.label_smoothing = config_.label_smoothing_factor,
                            .z_loss = config_.z_loss,
                            .scale = 1.0 / static_cast<double>(num_tokens)};
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (recorded_) {
      if (const auto loss = recorded_->backward(batches[i], options.scale, scaler_, /*first=*/i == 0)) {
        total += *loss;
        continue;
      }
    }
    if (reducer_) reducer_->prepare(i + 1 == batches.size());
    at::Tensor loss;
    {
      const Autocast autocast(device_, config_);
      loss = caption_loss(*model_, processor_, batches[i], options, device_);
    }
    total += loss.detach();
    if (scaler_.enabled()) loss = loss * scaler_.scale();
    if (reducer_)
      reducer_->backward([&] { loss.backward(); });
    else
      loss.backward();
  }
  return total;
}

// Nothing here waits for the device: whether the update is skipped is decided there.
DeviceFigures UpdateStep::apply(const at::Tensor& loss, double learning_rate, double loss_limit) {
  const at::NoGradGuard no_grad;
  const at::Tensor scale = scaler_.enabled() ? scaler_.scale().clone() : at::ones_like(loss);
  const at::Tensor norm = gradient_norm(parameters_).to(loss.device()) / scale;
  const at::Tensor good_gradient = norm.isfinite(), good_loss = loss.isfinite().logical_and(loss.le(loss_limit));
  const at::Tensor skip = good_gradient.logical_and(good_loss).logical_not().to(at::kFloat);
  UpdateControl control{.learning_rate = learning_rate,
                        .gradient_divisor = clip_divisor(norm, config_.max_grad_norm) * scale,
                        .skip = skip};
  if (loss.is_cpu() && control.gradient_divisor.item<float>() == 1) control.gradient_divisor.reset();
  optimizer_->step(control);
  const at::Tensor overflow = good_gradient.logical_not().to(at::kFloat);
  DeviceFigures figures(at::stack({loss, norm, skip, scale, overflow}));
  scaler_.update(overflow);
  return figures;
}

StepResult PendingStep::result() {
  const std::vector<double> values = figures_.read();
  StepResult result = known_;
  result.loss = values[0];
  result.grad_norm = values[1];
  result.skipped = values[2] != 0;
  result.loss_scale = values[3];
  // As long as the scale can fall, that is what it is for.
  result.overflowed = scaled_ && values[4] != 0 && std::isfinite(result.loss) && result.loss_scale >= 1;
  return result;
}

// Alone, gradients are given away: the next backward pass then moves its own in instead of adding to zeros. Shared
// ones are views of the buckets that travel, and recorded work knows its own by address: both stay.
void UpdateStep::drop_gradients() {
  const at::NoGradGuard no_grad;
  for (NamedParameter& parameter : parameters_) {
    at::Tensor& gradient = parameter.tensor.mutable_grad();
    if (!reducer_ && !recorded_)
      gradient.reset();
    else if (gradient.defined())
      gradient.zero_();
  }
}

}  // namespace capstan
