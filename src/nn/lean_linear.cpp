#include "nn/lean_linear.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "capstan/nn/autocast.h"

namespace capstan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LeanLinear : public torch::autograd::Function<LeanLinear> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, bool transposed,
                            const std::optional<Activation>& before) {
    const at::ScalarType type = product_type(x);
    const bool remakes_cast = x.is_cpu();
    const at::Tensor cast =
        remakes_cast ? weight.to(type) : at::autocast::cached_cast(type, weight, weight.device().type());
    const AutocastOff off(x.device().type());
    const at::Tensor input = x.to(type);
    context->save_for_backward({input, remakes_cast ? weight : cast});
    context->saved_data["transposed"] = transposed;
    if (before) context->saved_data["activation"] = static_cast<std::int64_t>(*before);
    return plain_linear({input, cast, bias ? bias->to(type) : at::Tensor(), transposed, before});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor& outer = gradients[0];
    const at::Tensor input = context->get_saved_variables()[0];
    const at::Tensor weight = context->get_saved_variables()[1].to(input.scalar_type());
    const bool transposed = context->saved_data["transposed"].toBool();
    std::optional<Activation> before;
    if (const auto found = context->saved_data.find("activation"); found != context->saved_data.end())
      before = static_cast<Activation>(found->second.toInt());
    const at::Tensor outer_RO = outer.reshape({-1, outer.size(-1)});
    variable_list result(5);
    if (context->needs_input_grad(1)) {
      const at::Tensor used = before ? activate(input, *before) : input;
      const at::Tensor used_RI = used.reshape({-1, used.size(-1)});
      result[1] = transposed ? at::mm(used_RI.t(), outer_RO) : at::mm(outer_RO.t(), used_RI);
    }
    if (context->needs_input_grad(2)) result[2] = outer_RO.sum(0);
    if (context->needs_input_grad(0)) {
      const at::Tensor inner = at::mm(outer_RO, transposed ? weight.t() : weight).view(input.sizes());
      result[0] = before ? activation_gradient(inner, input, *before) : inner;
    }
    return result;
  }
};

}  // namespace

at::Tensor plain_linear(const LinearOperands& in) {
  const at::Tensor x = in.before ? activate(in.x, *in.before) : in.x;
  if (!in.transposed)
    return at::linear(x, in.weight, in.bias.defined() ? std::optional<at::Tensor>(in.bias) : std::nullopt);
  // One matrix product with the bias added inside it, whatever the number of leading dimensions.
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = in.weight.size(1);
  return at::addmm(in.bias, x.reshape({-1, in.weight.size(0)}), in.weight).view(sizes);
}

at::Tensor lean_linear(const LinearOperands& in) {
  const bool learns = at::GradMode::is_enabled() && (in.x.requires_grad() || in.weight.requires_grad());
  const bool casts = in.x.is_cpu() && product_type(in.x) != in.weight.scalar_type();
  if (!learns || !(in.before || casts)) return plain_linear(in);
  const auto bias = in.bias.defined() ? std::optional<at::Tensor>(in.bias) : std::nullopt;
  return LeanLinear::apply(in.x, in.weight, bias, in.transposed, in.before);
}

}  // namespace capstan
