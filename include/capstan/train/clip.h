// Clipping by total norm, without a pass over the gradients of its own.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>

#include "capstan/train/optimizer.h"

namespace capstan {

// Euclidean norm of all gradients together, a float32 scalar on their device, so that nothing waits for it.
at::Tensor gradient_norm(std::span<const NamedParameter> parameters);

// What gradients of this norm are divided by where torch.nn.utils.clip_grad_norm_ would scale them by
// max_norm / (norm + 1e-6): 1 where that is above 1, or where max_norm is 0. Scalar like `norm`.
at::Tensor clip_divisor(const at::Tensor& norm, double max_norm);

}  // namespace capstan
