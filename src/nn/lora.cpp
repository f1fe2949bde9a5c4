// The adapter of one layer: its two small products, and their sum with the weight.
#include "capstan/nn/lora.h"

#include <ATen/ATen.h>

#include "capstan/core/error.h"
#include "capstan/nn/scope.h"

namespace capstan {

void LoraLayer::attach_lora(const LoraOptions& options) {
  CAPSTAN_ASSERT(!lora_ && options.rank > 0);
  lora_ = options;
  const auto like = at::TensorOptions().device(weight.device()).dtype(at::kFloat);
  a_ = scope(*this, "lora_A").register_parameter("weight", at::zeros({options.rank, in_features()}, like));
  b_ = scope(*this, "lora_B").register_parameter("weight", at::zeros({out_features(), options.rank}, like));
}

void LoraLayer::remove_lora() {
  if (!lora_) return;
  unregister_module("lora_A");
  unregister_module("lora_B");
  lora_.reset();
  a_ = b_ = base_ = at::Tensor();
}

void LoraLayer::merge_lora() {
  if (!lora_ || merged()) return;
  const at::NoGradGuard no_grad;
  at::Tensor product = at::matmul(b_.to(at::kFloat), a_.to(at::kFloat)) * lora_->scale;
  if (transposed_) product = product.t();
  base_ = weight.detach().clone();
  weight.copy_(base_.to(at::kFloat) + product);
}

void LoraLayer::unmerge_lora() {
  if (!merged()) return;
  const at::NoGradGuard no_grad;
  weight.copy_(base_);
  base_ = at::Tensor();
}

at::Tensor LoraLayer::adapted(const at::Tensor& y, const at::Tensor& x) const {
  if (!lora_ || merged()) return y;
  const bool drops = is_training() && lora_->dropout > 0;
  const at::Tensor dropped = drops ? at::dropout(x, lora_->dropout, true) : x;
  return at::add(y, at::linear(at::linear(dropped, a_), b_), lora_->scale);
}

}  // namespace capstan
