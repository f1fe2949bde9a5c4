// The activations that transformers' configurations name.
#pragma once
#include <ATen/core/Tensor.h>

#include <string_view>

namespace capstan {

enum class Activation { kGelu, kGeluNew, kRelu, kSilu, kTanh };

// "gelu" (exact), "gelu_new" or "gelu_pytorch_tanh" (both the tanh approximation), "relu", "silu" or "tanh".
// UnsupportedError otherwise.
Activation parse_activation(std::string_view name);

at::Tensor activate(const at::Tensor& x, Activation activation);
// Gradient of x, given the gradient of activate(x).
at::Tensor activation_gradient(const at::Tensor& gradient, const at::Tensor& x, Activation activation);

}  // namespace capstan
