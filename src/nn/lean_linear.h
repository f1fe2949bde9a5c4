// A linear layer that keeps less for its backward pass than the operators it is made of would.
#pragma once
#include <ATen/core/Tensor.h>

#include <optional>

#include "capstan/nn/activation.h"

namespace capstan {

struct LinearOperands {
  at::Tensor x;       // [..., in]
  at::Tensor weight;  // [out, in], or [in, out] where transposed
  at::Tensor bias;    // [out], undefined without
  bool transposed = false;
  std::optional<Activation> before{};  // of x
};

// activation(x) W^T + b by torch's operators.
at::Tensor plain_linear(const LinearOperands& operands);

// The same numbers and gradients. For backward, activation(x) is computed again from x; under autocast on a CPU the
// cast of the weight is made again too, as autocast would otherwise keep a copy of all weights until the step ends.
at::Tensor lean_linear(const LinearOperands& operands);

}  // namespace capstan
