// Linear layers in the two weight layouts that published models use. Not differentiable twice.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/nn/pimpl.h>

#include "capstan/nn/activation.h"
#include "capstan/nn/lora.h"

namespace capstan {

// y = x W^T + b with W [out, in]. Starts as zeros: fresh values and loaded ones come from outside.
class LinearImpl : public LoraLayer {
 public:
  LinearImpl(std::int64_t in_features, std::int64_t out_features, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]
  // forward(activate(x)), for which training keeps x and not activate(x) too.
  at::Tensor forward_activated(const at::Tensor& x, Activation activation) const;
};
TORCH_MODULE(Linear);

// y = x W + b with W [in, out], the layout of GPT-2's weights. Starts as zeros.
class TransposedLinearImpl : public LoraLayer {
 public:
  TransposedLinearImpl(std::int64_t in_features, std::int64_t out_features);
  at::Tensor forward(const at::Tensor& x) const;                                   // [..., in] -> [..., out]
  at::Tensor forward_activated(const at::Tensor& x, Activation activation) const;  // as Linear's
};
TORCH_MODULE(TransposedLinear);

}  // namespace capstan
