// As the logits of a chunk are only needed for its loss and their gradient, both are made while they exist (the idea of
// Liger's fused linear cross-entropy, Hsu et al., 2024).
#include "capstan/nn/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "capstan/core/error.h"

namespace capstan {
namespace {

class AutocastOff {
 public:
  explicit AutocastOff(c10::DeviceType device) : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    at::autocast::set_autocast_enabled(device_, false);
  }
  ~AutocastOff() { at::autocast::set_autocast_enabled(device_, before_); }
  AutocastOff(const AutocastOff&) = delete;
  AutocastOff& operator=(const AutocastOff&) = delete;

 private:
  c10::DeviceType device_;
  bool before_;
};

at::ScalarType product_type(const at::Tensor& hidden) {
  const c10::DeviceType device = hidden.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : hidden.scalar_type();
}

// Turns logits [R, V] (float32) into their gradient and returns the loss of each position [R].
at::Tensor loss_and_gradient(at::Tensor& logits_RV, const at::Tensor& labels_R, const CrossEntropyOptions& options,
                             bool wants_gradient) {
  const auto vocab = static_cast<double>(logits_RV.size(1));
  const at::Tensor labels_R1 = labels_R.unsqueeze(1);
  const at::Tensor log_sum_R = logits_RV.logsumexp(1);
  at::Tensor loss_R = log_sum_R - logits_RV.gather(1, labels_R1).squeeze(1) * (1 - options.label_smoothing);
  if (options.label_smoothing > 0) loss_R -= logits_RV.mean(1) * options.label_smoothing;
  if (options.z_loss > 0) loss_R += log_sum_R.square() * options.z_loss;
  if (!wants_gradient) return loss_R;
  logits_RV.sub_(log_sum_R.unsqueeze(1)).exp_();
  if (options.z_loss > 0) logits_RV.mul_((1 + 2 * options.z_loss * log_sum_R).unsqueeze(1));
  logits_RV.scatter_add_(1, labels_R1, at::full_like(log_sum_R, options.label_smoothing - 1).unsqueeze(1));
  if (options.label_smoothing > 0) logits_RV.sub_(options.label_smoothing / vocab);
  return loss_R;
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden_RD,
                            const at::Tensor& weight_VD, const at::Tensor& labels_R, const CrossEntropyOptions& options,
                            bool wants_hidden, bool wants_weight) {
    const at::ScalarType type = product_type(hidden_RD);
    const AutocastOff plain(hidden_RD.device().type());
    const at::Tensor hidden = hidden_RD.to(type), weight = weight_VD.to(type);
    const auto as_float = hidden_RD.options().dtype(at::kFloat);
    at::Tensor loss = at::zeros({}, as_float);
    at::Tensor hidden_gradient = wants_hidden ? at::empty_like(hidden_RD) : at::Tensor();
    at::Tensor weight_gradient;
    for (std::int64_t first = 0; first < hidden.size(0); first += options.chunk) {
      const std::int64_t count = std::min(options.chunk, hidden.size(0) - first);
      const at::Tensor rows = hidden.narrow(0, first, count);
      at::Tensor logits = at::matmul(rows, weight.t()).to(at::kFloat);
      loss += loss_and_gradient(logits, labels_R.narrow(0, first, count), options, wants_hidden || wants_weight).sum();
      if (!wants_hidden && !wants_weight) continue;
      const at::Tensor gradient = logits.mul_(options.scale).to(type);
      if (wants_hidden) hidden_gradient.narrow(0, first, count).copy_(at::matmul(gradient, weight));
      if (!wants_weight) continue;
      const at::Tensor part = at::matmul(gradient.t(), rows);
      weight_gradient = weight_gradient.defined() ? weight_gradient.add_(part) : part.to(at::kFloat);
    }
    if (wants_weight && !weight_gradient.defined()) weight_gradient = at::zeros(weight_VD.sizes(), as_float);
    context->saved_data["hidden"] = hidden_gradient;
    context->saved_data["weight"] = weight_gradient;
    return loss.mul_(options.scale);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor& outer = gradients[0];
    // The multiplication is spared where it would change nothing; a GPU is not asked, that would mean waiting for it.
    const bool is_one = outer.device().is_cpu() && outer.item<double>() == 1;
    const auto scaled = [&](const char* name) {
      at::Tensor gradient = context->saved_data[name].toTensor();
      context->saved_data[name] = at::Tensor();  // it is changed in place and given away
      return gradient.defined() && !is_one ? gradient.mul_(outer) : gradient;
    };
    const at::Tensor hidden = scaled("hidden"), weight = scaled("weight");
    return {hidden, weight, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden_RD, const at::Tensor& weight_VD, const at::Tensor& labels_R,
                                const CrossEntropyOptions& options) {
  CAPSTAN_ASSERT(hidden_RD.dim() == 2 && weight_VD.dim() == 2 && hidden_RD.size(1) == weight_VD.size(1));
  CAPSTAN_ASSERT(labels_R.dim() == 1 && labels_R.size(0) == hidden_RD.size(0) && options.chunk > 0);
  const bool on = at::GradMode::is_enabled();
  return LinearCrossEntropy::apply(hidden_RD, weight_VD, labels_R, options, on && hidden_RD.requires_grad(),
                                   on && weight_VD.requires_grad());
}

}  // namespace capstan
