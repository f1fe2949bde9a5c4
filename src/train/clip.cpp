#include "capstan/train/clip.h"

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

namespace capstan {

at::Tensor gradient_norm(std::span<const NamedParameter> parameters) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const NamedParameter& parameter : parameters)
    if (parameter.tensor.grad().defined()) gradients.push_back(parameter.tensor.grad());
  if (gradients.empty()) return at::zeros({});
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
}

at::Tensor clip_divisor(const at::Tensor& norm, double max_norm) {
  if (max_norm <= 0) return at::ones_like(norm);
  return ((norm + 1e-6) / max_norm).clamp_min(1.0);
}

}  // namespace capstan
