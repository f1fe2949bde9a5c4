// As the logits of a chunk are only needed for its loss and their gradient, both are made while they exist (the idea of
// Liger's fused linear cross-entropy, Hsu et al., 2024).
#include "capstan/nn/linear_cross_entropy.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>
#include <vector>

#include "capstan/core/error.h"
#include "capstan/nn/autocast.h"

namespace capstan {
namespace {

// Turns logits [R, V] (float32) into their gradient and returns the loss of each position [R].
at::Tensor loss_and_gradient(at::Tensor& logits_RV, const at::Tensor& labels_R, const CrossEntropyOptions& options,
                             bool wants_gradient) {
  const auto vocab = static_cast<double>(logits_RV.size(1));
  const at::Tensor labels_R1 = (options.ignores ? labels_R.clamp_min(0) : labels_R).unsqueeze(1);
  const at::Tensor counts_R = options.ignores ? labels_R.ne(-100).to(at::kFloat) : at::Tensor();
  const at::Tensor log_sum_R = logits_RV.logsumexp(1);
  at::Tensor loss_R = log_sum_R - logits_RV.gather(1, labels_R1).squeeze(1) * (1 - options.label_smoothing);
  if (options.label_smoothing > 0) loss_R -= logits_RV.mean(1) * options.label_smoothing;
  if (options.z_loss > 0) loss_R += log_sum_R.square() * options.z_loss;
  if (options.ignores) loss_R *= counts_R;
  if (!wants_gradient) return loss_R;
  logits_RV.sub_(log_sum_R.unsqueeze(1)).exp_();
  if (options.z_loss > 0) logits_RV.mul_((1 + 2 * options.z_loss * log_sum_R).unsqueeze(1));
  logits_RV.scatter_add_(1, labels_R1, at::full_like(log_sum_R, options.label_smoothing - 1).unsqueeze(1));
  if (options.label_smoothing > 0) logits_RV.sub_(options.label_smoothing / vocab);
  if (options.ignores) logits_RV.mul_(counts_R.unsqueeze(1));
  return loss_R;
}

// [first, count] of pieces of nearly equal size, at most `most`.
std::vector<std::pair<std::int64_t, std::int64_t>> even_chunks(std::int64_t size, std::int64_t most) {
  const std::int64_t number = (size + most - 1) / most;
  std::vector<std::pair<std::int64_t, std::int64_t>> chunks;
  for (std::int64_t i = 0; i < number; ++i) {
    const std::int64_t first = size * i / number;
    chunks.emplace_back(first, size * (i + 1) / number - first);
  }
  return chunks;
}

// sum_VD += gradient_RV^T rows_RD, in float32. A product of another type comes in bands on a CPU, because beside the
// sum it would be the largest thing that a step ever holds.
void add_product(at::Tensor& sum_VD, const at::Tensor& gradient_RV, const at::Tensor& rows_RD) {
  const std::int64_t vocab = gradient_RV.size(1);
  const bool is_float = rows_RD.scalar_type() == at::kFloat;
  if (!sum_VD.defined() && is_float) {
    sum_VD = at::mm(gradient_RV.t(), rows_RD);
    return;
  }
  const bool begins = !sum_VD.defined();
  if (begins) sum_VD = at::empty({vocab, rows_RD.size(1)}, rows_RD.options().dtype(at::kFloat));
  if (is_float) {
    sum_VD.addmm_(gradient_RV.t(), rows_RD);
    return;
  }
  const std::int64_t band = rows_RD.is_cpu() ? 8192 : vocab;
  for (const auto& [first, count] : even_chunks(vocab, band)) {
    const at::Tensor part = at::mm(gradient_RV.narrow(1, first, count).t(), rows_RD);
    at::Tensor target = sum_VD.narrow(0, first, count);
    begins ? target.copy_(part) : target.add_(part);
  }
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden_RD,
                            const at::Tensor& weight_VD, const at::Tensor& labels_R, const CrossEntropyOptions& options,
                            bool wants_hidden, bool wants_weight) {
    const at::ScalarType type = product_type(hidden_RD);
    // Not where it would push small gradients below what float16 can tell from zero: before the loss scale is applied.
    const double early_scale = type == at::kHalf ? 1 : options.scale;
    const AutocastOff plain(hidden_RD.device().type());
    const at::Tensor hidden = hidden_RD.to(type), weight = weight_VD.to(type);
    const auto as_float = hidden_RD.options().dtype(at::kFloat);
    at::Tensor loss = at::zeros({}, as_float);
    at::Tensor hidden_gradient = wants_hidden ? at::empty_like(hidden_RD) : at::Tensor();
    at::Tensor weight_gradient;
    for (const auto& [first, count] : even_chunks(hidden.size(0), options.chunk)) {
      const at::Tensor rows = hidden.narrow(0, first, count);
      at::Tensor logits = at::matmul(rows, weight.t()).to(at::kFloat);
      loss += loss_and_gradient(logits, labels_R.narrow(0, first, count), options, wants_hidden || wants_weight).sum();
      if (!wants_hidden && !wants_weight) continue;
      const at::Tensor gradient = logits.mul_(early_scale).to(type);
      if (wants_hidden) hidden_gradient.narrow(0, first, count).copy_(at::matmul(gradient, weight));
      if (wants_weight) add_product(weight_gradient, gradient, rows);
    }
    if (wants_weight && !weight_gradient.defined()) weight_gradient = at::zeros(weight_VD.sizes(), as_float);
    context->saved_data["late_scale"] = options.scale / early_scale;
    context->saved_data["hidden"] = hidden_gradient;
    context->saved_data["weight"] = weight_gradient;
    return loss.mul_(options.scale);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor outer = gradients[0] * context->saved_data.at("late_scale").toDouble();
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
