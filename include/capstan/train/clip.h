// Gradient clipping by total norm.
#pragma once
#include <ATen/core/Tensor.h>

#include <span>

#include "capstan/train/optimizer.h"

namespace capstan {

// torch.nn.utils.clip_grad_norm_: scales all gradients by max_norm / (norm + 1e-6) where that is below 1.
// Returns the norm before clipping as a scalar on the device, so that nothing waits for it. `max_norm` 0 only measures.
at::Tensor clip_gradients(std::span<const NamedParameter> parameters, double max_norm);

}  // namespace capstan
