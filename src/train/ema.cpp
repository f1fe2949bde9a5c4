#include "capstan/train/ema.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>

#include <algorithm>

namespace capstan {

Ema::Ema(const EmaConfig& config, std::span<const NamedParameter> parameters) : config_(config) {
  if (config.decay <= 0) return;
  for (const NamedParameter& parameter : parameters) {
    names_.push_back(parameter.name);
    weights_.push_back(parameter.tensor.detach());
    averages_.push_back(weights_.back().clone());
  }
}

void Ema::update(std::int64_t step) {
  if (!enabled()) return;
  const at::NoGradGuard no_grad;
  const auto t = static_cast<double>(step);
  const double decay = config_.warmup ? std::min(config_.decay, (1 + t) / (10 + t)) : config_.decay;
  at::_foreach_lerp_(averages_, weights_, 1 - decay);
}

void Ema::swap() {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const at::Tensor weight = weights_[i].clone();
    weights_[i].copy_(averages_[i]);
    averages_[i].copy_(weight);
  }
}

TensorMap Ema::state() const {
  TensorMap tensors;
  for (std::size_t i = 0; i < names_.size(); ++i) tensors[names_[i]] = averages_[i];
  return tensors;
}

void Ema::load_state(const TensorMap& tensors) {
  if (enabled()) copy_state(state(), tensors);
}

}  // namespace capstan
