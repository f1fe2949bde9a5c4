// Names to functions; the fused kernels of torch compute them.
#include "capstan/nn/activation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "capstan/core/error.h"

namespace capstan {

Activation parse_activation(std::string_view name) {
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Activation::kGeluNew;
  if (name == "relu") return Activation::kRelu;
  if (name == "silu") return Activation::kSilu;
  if (name == "tanh") return Activation::kTanh;
  throw UnsupportedError(
      fmt::format("unknown activation '{}'; known: gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh.", name));
}

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluNew:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
  }
  CAPSTAN_ASSERT(false);
}

at::Tensor activation_gradient(const at::Tensor& gradient, const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu_backward(gradient, x);
    case Activation::kGeluNew:
      return at::gelu_backward(gradient, x, "tanh");
    case Activation::kRelu:
      return at::threshold_backward(gradient, x, 0);
    case Activation::kSilu:
      return at::silu_backward(gradient, x);
    case Activation::kTanh:
      return at::tanh_backward(gradient, at::tanh(x));
  }
  CAPSTAN_ASSERT(false);
}

}  // namespace capstan
