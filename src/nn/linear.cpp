// Two layouts of one product; adapters are added outside of it.
#include "capstan/nn/linear.h"

#include "capstan/nn/placeholder.h"
#include "nn/lean_linear.h"

namespace capstan {

LinearImpl::LinearImpl(std::int64_t in_features, std::int64_t out_features, bool with_bias)
    : LoraLayer(/*transposed=*/false) {
  weight = register_parameter("weight", new_weight({out_features, in_features}));
  if (with_bias) bias = register_parameter("bias", new_weight({out_features}));
}

at::Tensor LinearImpl::forward(const at::Tensor& x) const { return adapted(lean_linear({x, weight, bias}), x); }

at::Tensor LinearImpl::forward_activated(const at::Tensor& x, Activation activation) const {
  if (has_lora()) return forward(activate(x, activation));  // the adapter needs the activated values too
  return lean_linear({x, weight, bias, /*transposed=*/false, activation});
}

TransposedLinearImpl::TransposedLinearImpl(std::int64_t in_features, std::int64_t out_features)
    : LoraLayer(/*transposed=*/true) {
  weight = register_parameter("weight", new_weight({in_features, out_features}));
  bias = register_parameter("bias", new_weight({out_features}));
}

at::Tensor TransposedLinearImpl::forward(const at::Tensor& x) const {
  return adapted(lean_linear({x, weight, bias, /*transposed=*/true}), x);
}

at::Tensor TransposedLinearImpl::forward_activated(const at::Tensor& x, Activation activation) const {
  if (has_lora()) return forward(activate(x, activation));
  return lean_linear({x, weight, bias, /*transposed=*/true, activation});
}

}  // namespace capstan
