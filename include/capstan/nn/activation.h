// The activations that transformers' configurations name.
#pragma once
#include <ATen/core/Tensor.h>

#include <string_view>

namespace capstan {

enum class Activation { kGelu, kGeluNew, kRelu, kSilu };

// "gelu" (exact), "gelu_new" (tanh approximation), "relu" or "silu". UnsupportedError otherwise.
Activation parse_activation(std::string_view name);

at::Tensor activate(const at::Tensor& x, Activation activation);

}  // namespace capstan
