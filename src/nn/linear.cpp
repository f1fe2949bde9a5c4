// Both layouts end in one matrix product with the bias added inside it.
#include "capstan/nn/linear.h"

#include <ATen/ATen.h>

#include "capstan/nn/placeholder.h"

namespace capstan {

LinearImpl::LinearImpl(std::int64_t in_features, std::int64_t out_features, bool with_bias)
    : LoraLayer(/*transposed=*/false) {
  weight = register_parameter("weight", new_weight({out_features, in_features}));
  if (with_bias) bias = register_parameter("bias", new_weight({out_features}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) const {
  return adapted(at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt), x);
}

TransposedLinearImpl::TransposedLinearImpl(std::int64_t in_features, std::int64_t out_features)
    : LoraLayer(/*transposed=*/true) {
  weight = register_parameter("weight", new_weight({in_features, out_features}));
  bias = register_parameter("bias", new_weight({out_features}));
}

at::Tensor TransposedLinearImpl::forward(const at::Tensor& x) const {
  // One matrix product with the bias added inside it, whatever the number of leading dimensions.
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(1);
  return adapted(at::addmm(bias, x.reshape({-1, weight.size(0)}), weight).view(sizes), x);
}

}  // namespace capstan
