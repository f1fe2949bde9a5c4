#include "capstan/train/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cstdlib>

#include "capstan/train/optimizer.h"

namespace capstan {

Autocast::Autocast(c10::Device device, const TrainerConfig& config)
    : device_(device), enabled_(config.bf16 || config.fp16) {
  if (!enabled_) return;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device_.type(), config.bf16 ? at::kBFloat16 : at::kHalf);
  at::autocast::set_autocast_enabled(device_.type(), true);
}

Autocast::~Autocast() {
  if (!enabled_) return;
  at::autocast::set_autocast_enabled(device_.type(), false);
  // Weights were cast once for the whole region; after an update the casts are stale.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

GradScaler::GradScaler(const TrainerConfig& config, c10::Device device) {
  if (!config.fp16) return;
  scale_ = at::full({}, 65536.0, at::TensorOptions().device(device).dtype(at::kFloat));
  growth_tracker_ = at::zeros({}, at::TensorOptions().device(device).dtype(at::kInt));
}

void GradScaler::update(const at::Tensor& overflowed) {
  if (enabled()) at::_amp_update_scale_(scale_, growth_tracker_, overflowed, 2.0, 0.5, 2000);
}

TensorMap GradScaler::state() const {
  if (!enabled()) return {};
  return {{"scale", scale_}, {"growth_tracker", growth_tracker_}};
}

void GradScaler::load_state(const TensorMap& tensors) {
  if (enabled() && !tensors.empty()) copy_state(state(), tensors);
}

void set_numerics(const TrainerConfig& config) {
  at::globalContext().setAllowTF32CuBLAS(config.tf32);
  at::globalContext().setAllowTF32CuDNN(config.tf32);
  if (!config.deterministic) return;
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // without it cuBLAS may split sums differently each time
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
}

}  // namespace capstan
